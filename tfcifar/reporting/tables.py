"""Metrics as text for people."""

import re

# What the views of recipe.TTA_VIEWS are, in words.
TTA_IN_WORDS = {
    "flip": "mean logits of two views, the image and its mirror image",
    "flip_translate": "mean logits of six views, the image (half of the weight) and two one-pixel translations of it, "
    "each also mirrored",
    "flip_translate_8": "mean logits of eighteen views, the image (half of the weight) and its eight one-pixel "
    "translations, each also mirrored",
    "multi_crop": "mean logits of ten views, the image (half of the weight) and its four corners, 7/8 as high and wide "
    "and enlarged again, each also mirrored",
}
FEW_TO_CALIBRATE = 100  # images: a temperature fitted to fewer is mostly chance
VIEWS_OF_AIRBENCH = ("flip", "flip_translate")  # those of arXiv:2404.00498


def result_table(metrics: dict) -> str:
    """A short table of one run's test metrics."""
    hardest = sorted((row for row in metrics["per_class"] if row["n"]), key=lambda row: row["accuracy"])[:3]
    rows = [
        (
            "model",
            f"{metrics['model']}, {metrics['parameters'] / 1e6:.2f} M parameters, {metrics['macs'] / 1e6:.0f} M MACs",
        ),
        ("data", f"{metrics['dataset']}, {metrics['n']:,} test images"),
        ("test accuracy", _accuracy(metrics)),
        *([("  with TTA", f"{_accuracy(metrics['tta'])}, {metrics['tta']['views']}")] if "tta" in metrics else []),
        *([("groups", _groups(metrics["groups"]))] if "groups" in metrics else []),
        ("test loss", f"{metrics['loss']:.4f}"),
        ("calibration error", f"{metrics['ece']:.4f} (ECE, 15 bins)"),
        ("hardest classes", ", ".join(f"{row['name']} {row['accuracy']:.1%}" for row in hardest)),
        ("training", f"{duration(metrics['train_seconds'])}, {metrics['pflop']:.2g} PFLOP"),
    ]
    return "\n".join(f"{name:18} {value}" for name, value in rows)


def explanation_table(rows: list[dict]) -> str:
    """The scores of `explain_run` for several runs, with what each number means."""
    width = max(len(row["run"]) for row in rows)
    lines = [f"{'run':{width}} {'method':16} {'deletion':>8} {'insertion':>9} {'sanity':>7}"]
    for row in rows:
        sanity = "" if row["sanity"] == "" else f"{row['sanity']:.2f}"
        lines.append(
            f"{row['run']:{width}} {row['method']:16} {row['deletion']:8.3f} {row['insertion']:9.3f} {sanity:>7}"
        )
    return "\n".join(
        [
            *lines,
            "insertion: higher is better; a method should beat `random`, pixels in no order.",
            "deletion: lower is better. Pixels taken at random break up a small image faster than most regions do:",
            "it tells methods from each other rather than from `random`.",
            "sanity: rank correlation with the maps of the network with random weights; near 0 is good.",
        ]
    )


def calibration_table(rows: list[dict]) -> str:
    """What `calibrate_run` found for one run, before and after; the method that is kept has a star."""
    lines = []
    for split in dict.fromkeys(row["split"] for row in rows):
        of_split = [row for row in rows if row["split"] == split]
        few = "; so few can calibrate nothing" if of_split[0]["n"] < FEW_TO_CALIBRATE else ""
        note = f" (cross-validated{few})" if split == "validation" else ""
        lines.append(f"{of_split[0]['run']}, {of_split[0]['n']:,} {split} images{note}")
        lines.append(f"  {'':22} {'accuracy':>8} {'NLL':>7} {'Brier':>7} {'ECE':>7} {'adaptive ECE':>12}")
        for row in of_split:
            name = "as it is" if row["method"] == "none" else f"{row['method']} scaling"
            lines.append(
                f"  {name + ' *' * row['kept']:22} {row['accuracy']:8.2%} {row['nll']:7.4f} {row['brier']:7.4f} "
                f"{row['ece']:7.4f} {row['adaptive_ece']:12.4f}"
            )
    return "\n".join([*lines, "* kept: the simplest one that no other betters significantly in validation NLL"])


def views_table(rows: list[dict]) -> str:
    """What `compare_views` found for one run: each choice of test-time views against none."""
    lines = [
        f"{rows[0]['run']}, {rows[0]['n']:,} validation images",
        f"  {'views':18} {'passes':>6} {'seconds':>7} {'accuracy':>8} {'NLL':>7} {'ECE':>7}  difference from none",
    ]
    for row in rows:
        against = ""
        if row["difference"] is not None:
            against = (
                f"{100 * row['difference']:+.2f} points ({100 * row['difference_low']:+.2f} to "
                f"{100 * row['difference_high']:+.2f}), p = {row['p_value']:.2g}, {row['verdict']}"
            )
        lines.append(
            f"  {row['views']:18} {row['passes']:6} {row['seconds']:7.1f} {row['accuracy']:8.2%} {row['nll']:7.4f} "
            f"{row['ece']:7.4f}  {against}".rstrip()
        )
    return "\n".join(lines)


def soup_table(soup: dict) -> str:
    """What `make_soup` found: the validation accuracy of each run and of the soup."""
    lines = [f"{'run':32} {'validation':>10}"]
    for row in soup["members"]:
        left_out = "" if row["in_soup"] else "  left out"
        lines.append(f"{row['name']:32} {or_trained_on(row['validation_accuracy']):>10}{left_out}")
    lines.append(f"{'soup':32} {or_trained_on(soup['validation_accuracy']):>10}")
    found = soup["against_best"]
    if found is not None:
        low, high = found["interval95"]
        lines.append(
            f"soup against the best run: {100 * found['difference']:+.2f} points ({100 * low:+.2f} to "
            f"{100 * high:+.2f}), McNemar p = {found['p_value']:.2g}, {found['verdict']}"
        )
        if found["verdict"] == "significant" and found["difference"] < 0:
            lines.append("NOTE: this soup is of no use; average runs that began with the same pretrained weights.")
    return "\n".join(lines)


def pruning_table(pruned: dict) -> str:
    """What `prune_run` found: the model before and after, and of channels also just after they were removed."""
    reached = pruned["reached"]
    what = "channels" if pruned["method"] == "channels" else "weights of the pruned layers"
    lines = [
        f"{pruned['source']}: {reached['sparsity']:.1%} of the {what} removed, {pruned['sparsity']:.1%} asked",
        f"  {'':12} {'parameters':>12} {'not zero':>12} {'MACs':>15} {'MB':>7} {'gzip MB':>8} {'validation':>10}",
    ]
    for name, row in reached.items():
        if isinstance(row, dict):
            lines.append(
                f"  {name:12} {row['parameters']:12,} {row['nonzero']:12,} {row['macs']:15,} {row['bytes'] / 1e6:7.2f} "
                f"{row['gzip_bytes'] / 1e6:8.2f} {or_trained_on(row['validation_accuracy']):>10}"
            )
    return "\n".join(lines)


def or_trained_on(accuracy: float | None) -> str:
    """Of validation images; None: the run was trained on them."""
    return "trained on" if accuracy is None else f"{accuracy:.2%}"


def _groups(groups: dict) -> str:
    accuracy = groups["accuracy"]
    return f"{' or '.join(groups['names'])}: {accuracy['head']:.2%} by the head, {accuracy['classes']:.2%} by classes"


def in_markdown(name: str) -> str:
    """A name of somebody's class or file such that Markdown shows it as it is."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", name)


def duration(seconds: float) -> str:
    """For example '9.7 s', '2.5 min', '40 min'."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 600 else f"{seconds / 60:.0f} min"


def _accuracy(metrics: dict) -> str:
    low, high = metrics["accuracy_ci95"]
    return f"{metrics['accuracy']:.2%} (95% interval {low:.2%} to {high:.2%})"


def in_words(number: int) -> str:
    """Small numbers as words, as in running text: 'seven', but '13'."""
    words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    return words[number] if number < len(words) else str(number)


def percent(value: float | None, digits: int = 2) -> str:
    """A fraction as, for example, "94.26%"; "" for what was not measured."""
    return "" if value is None else f"{100 * value:.{digits}f}%"


def decimal(value: float | None) -> str:
    """To three places; "-" for what was not measured."""
    return "-" if value is None else f"{value:.3f}"
