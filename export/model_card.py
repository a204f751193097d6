"""The model card of a published model, in Markdown, made of what was measured.

Mitchell et al. 2019, "Model Cards for Model Reporting" (arXiv:1810.03993).
"""

from tfcifar.recipe import Recipe
from tfcifar.reporting.tables import in_markdown


def model_card(name: str, recipe: Recipe, environment: dict, metrics: dict, card: dict) -> str:
    """README.md of zoo/NAME/.

    Args:
        recipe, environment, metrics: of the float model's run.
        card: of the INT8 file.
    """
    names = ", ".join(map(in_markdown, card["class_names"]))
    height, width = card["input"]["shape"][1:3]
    parts = [
        f"# {name}",
        f"{in_markdown(recipe.model.name)}, {card['parameters']:,} parameters, {card['macs'] / 1e6:.1f}M "
        f"multiply-accumulates an image. Classifies {width} x {height} px images as {names}.",
        f"```sh\npython -m tfcifar.predict --zoo {name} photo.png\n"
        f"python -m tfcifar.serve zoo/{name}/{card['file']}\n```",
        f"`{card['file']}` takes uint8 RGB images, NHWC, and needs nothing but numpy, Pillow and ai-edge-litert "
        "([how](../../docs/predict.md)); `model.keras` is the float model, and the folder a run directory.",
        "## Measured",
        _table(metrics, card),
        _changes(card),
        "## By class",
        _classes(metrics),
        "## Training",
        _training(recipe, environment),
        "## Limits",
        f"It knows {len(card['class_names'])} classes and takes every image for one of them{_foreign(recipe, card)}. "
        "The figures are those of clean test images: blur, noise and weather cost accuracy. Made to learn from and to "
        "build on, not for decisions about people.",
    ]
    return "\n\n".join(parts) + "\n"


def _foreign(recipe: Recipe, card: dict) -> str:
    if not card.get("acceptance"):
        return ""  # trained on its validation images, which would give the bounds
    return (
        f"; `predict` marks images that are unlike those of {in_markdown(recipe.data.dataset)}, though not each of them"
    )


def _table(metrics: dict, card: dict) -> str:
    found = card["metrics"]["test"]
    lines = ["| | test accuracy | 95% interval | NLL | ECE | bytes |", "|---|--:|--:|--:|--:|--:|"]
    low, high = metrics["accuracy_ci95"]
    lines.append(
        f"| float32 | {metrics['accuracy']:.2%} | {low:.2%} to {high:.2%} | {metrics['loss']:.4f} "
        f"| {metrics['ece']:.4f} | {4 * card['parameters']:,} of weights |"
    )
    low, high = found["accuracy_ci95"]
    row = f"| INT8 | {found['accuracy']:.2%} | {low:.2%} to {high:.2%} |"
    lines.append(f"{row} {found['nll']:.4f} | {found['ece']:.4f} | {card['bytes']:,} |")
    if "calibrated" in found:
        after = found["calibrated"]
        lines.append(f"| INT8, calibrated | {found['accuracy']:.2%} | | {after['nll']:.4f} | {after['ece']:.4f} | |")
    if "corrupted" in found:
        hard = found["corrupted"]
        doubts, kind = hard.get("calibrated", hard), ", calibrated" * ("calibrated" in hard)
        lines.append(
            f"| INT8{kind}, corrupted images | {hard['accuracy']:.2%} | | {doubts['nll']:.4f} | {doubts['ece']:.4f} | |"
        )
    return "\n".join(lines)


def _changes(card: dict) -> str:
    found, agreement = card["metrics"]["test"], card["parity"]["test"]["agreement"]
    text = (
        f"On {found['n']:,} test images. INT8 agrees with the float model that it computes on {agreement:.2%} of them."
    )
    if "calibration" in card:
        text += f" Calibrated: logits divided by {card['calibration']['temperature']:.3f}, fitted on validation images."
    if "corrupted" in found:
        hard = found["corrupted"]
        text += (
            f" Corrupted: means over {hard['corruptions']} corruptions at {hard['severities']} severities of "
            f"{hard['images']:,} of these images."
        )
    return text


def _classes(metrics: dict) -> str:
    lines = ["| class | accuracy | precision | F1 |", "|---|--:|--:|--:|"]
    for row in metrics["per_class"]:
        figures = [row[key] for key in ("accuracy", "precision", "f1")]
        cells = ["" if figure is None else f"{figure:.1%}" for figure in figures]  # None: never predicted
        lines.append(f"| {in_markdown(row['name'])} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "Of the float model."])


def _training(recipe: Recipe, environment: dict) -> str:
    teachers = ", ".join(f"`{path.rpartition('/')[2]}`" for path in recipe.distill.teachers)
    held_out = "train + validation" if recipe.data.train_on_validation else "train, without the validation images"
    lines = [
        f"- Data: {in_markdown(recipe.data.dataset)}, {held_out}; checksums in `environment.json`.",
        f"- {recipe.epochs} epochs, {recipe.batch_size} images a step, seed {recipe.seed}; all of it in `recipe.json`.",
        f"- `{environment['command']}`, {environment['hardware']}, commit {environment['commit']}.",
    ]
    if teachers:
        lines.insert(1, f"- Taught by {teachers}.")
    return "\n".join(lines)
