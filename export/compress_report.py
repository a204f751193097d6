"""The summary of a run's exported files: sizes, accuracies, what each step breaks, where INT8 errs, latencies."""

from pathlib import Path

from tfcifar.reporting.html import write_html
from tfcifar.reporting.tables import in_markdown
from tfcifar.run_dir import read_csv, read_json, write_text

WORST_LAYERS = 8
NOTES = (
    "Broken: images that the Keras model gets right and the file wrong; mended: the other way round. Agreement: share "
    "of images with the same class on top. Calibrated: logits divided by the temperature on the card."
)


def write_summary(folder: Path, cards: list[dict], benchmark: bool) -> str:
    """Write compress.md and compress.html into `folder`, which holds what the cards are about; return the tables.

    benchmark: latencies of these very files are in `folder`/benchmark/.
    """
    record = read_json(folder / "compress.json")
    parts = [
        f"# {in_markdown(record['name'])}: exported files",
        f"Made from `{cards[0]['run']}`, {cards[0]['parameters']:,} parameters, {cards[0]['macs']:,} MACs an image."
        + _on_int8(record, cards),
        _files_table(cards),
        NOTES + _on_corrupted(cards[0]),
    ]
    quantization = folder / "quantization.csv"
    if quantization.is_file():
        parts += ["## Where INT8 errs", _layers_table(read_csv(quantization))]
    if benchmark:
        parts += ["## Latency\n\nSee [benchmark/benchmark.html](benchmark/benchmark.html)."]
    write_text(folder / "compress.md", "\n\n".join(parts) + "\n")
    write_html(folder / "compress.md")
    return "\n\n".join(part for part in parts[1:] if not part.startswith("## Latency"))


def _on_int8(record: dict, cards: list[dict]) -> str:
    if not any(card["format"].endswith("_int8") for card in cards):
        return ""
    chosen = record["representative_images"]
    return (
        f" INT8 rounded by {chosen['count']} training images (seed {chosen['seed']})"
        f"{', in TFLite as set by export.quantize' if record['quantization_aware'] else ''}."
    )


def _files_table(cards: list[dict]) -> str:
    split = cards[0]["flips"]["split"]
    heads = ["file", "bytes", "gzip", f"{split} accuracy", "NLL", "ECE", "NLL, ECE calibrated", "agreement", "broken",
             "mended", "p", *(["corrupted"] if _corrupted(cards[0]) else [])]  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", f"|---|{'--:|' * (len(heads) - 1)}"]
    for card in cards:
        found, flips = card["metrics"][split], card["flips"]
        after = found.get("calibrated")
        cells = [
            in_markdown(card["file"]),
            f"{card['bytes']:,}",
            f"{card['gzip_bytes']:,}",
            f"{found['accuracy']:.2%}",
            f"{found['nll']:.4f}",
            f"{found['ece']:.4f}",
            f"{after['nll']:.4f}, {after['ece']:.4f}" if after else "",
            f"{card['parity'][split]['agreement']:.2%}",
            str(flips["broken"]),
            str(flips["mended"]),
            f"{flips['p_value']:.2g}",
            *([f"{_corrupted(card)['accuracy']:.2%}"] if _corrupted(card) else []),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _corrupted(card: dict) -> dict:
    """See `export.corrupted.judge_corrupted`; empty where the files were not judged so."""
    return card["metrics"][card["flips"]["split"]].get("corrupted", {})


def _on_corrupted(card: dict) -> str:
    found = _corrupted(card)
    if not found:
        return ""
    return (
        f" Corrupted: mean accuracy on {found['images']:,} of the images under {found['corruptions']} corruptions at "
        f"{found['severities']} severities."
    )


def _layers_table(rows: list[dict]) -> str:
    """The last layer, whose error is that of the logits, and before it those whose errors are largest."""
    worst = sorted(rows[:-1], key=lambda row: -float(row["relative_error"]))[:WORST_LAYERS]
    lines = [
        "| layer | operation | error of its output | clipped |",
        "|---|---|--:|--:|",
        *(
            f"| {in_markdown(row['layer'])} | {row['operation']} | {float(row['relative_error']):.1%} "
            f"| {float(row['clipped']):.2%} |"
            for row in [*worst, rows[-1]]
        ),
    ]
    note = (
        "Root mean square of the difference to the float file over that of the output; all layers in their order: "
        "quantization.csv. Clipped: values that the int8 range leaves out."
    )
    return "\n".join([*lines, "", note])
