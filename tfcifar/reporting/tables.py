"""Metrics as text for people."""


def result_table(metrics: dict) -> str:
    """A short table of one run's test metrics."""
    low, high = metrics["accuracy_ci95"]
    hardest = sorted((row for row in metrics["per_class"] if row["n"]), key=lambda row: row["accuracy"])[:3]
    rows = [
        (
            "model",
            f"{metrics['model']}, {metrics['parameters'] / 1e6:.2f} M parameters, {metrics['macs'] / 1e6:.0f} M MACs",
        ),
        ("data", f"{metrics['dataset']}, {metrics['n']:,} test images"),
        ("test accuracy", f"{metrics['accuracy']:.2%} (95% interval {low:.2%} to {high:.2%})"),
        ("test loss", f"{metrics['loss']:.4f}"),
        ("calibration error", f"{metrics['ece']:.4f} (ECE, 15 bins)"),
        ("hardest classes", ", ".join(f"{row['name']} {row['accuracy']:.1%}" for row in hardest)),
        ("training time", f"{metrics['train_seconds'] / 60:.1f} min"),
    ]
    return "\n".join(f"{name:18} {value}" for name, value in rows)
