"""What follows from the figures of `export.benchmark`: where INT8 is faster than float32, and where it is not."""

import statistics
from pathlib import Path

from scipy.stats import binom

from tfcifar.reporting.tables import in_markdown


def int8_against_float(results: dict) -> list[dict]:
    """INT8 against float32 of the same network on the same runtime, for each number of threads and batch size.

    Args:
        results: with `artifacts` and `measurements`, as in benchmark.json.

    Returns:
        Rows of `label`, `runtime`, `threads`, `batch`, `ratio` (time of INT8 to that of float32: the median over the
        rounds), `low` and `high` (see `median_interval`), `verdict`: "slower", "faster" or, where 1 is between these
        two, "not told apart".
    """
    medians = {
        (each["file"], each["threads"], each["batch"]): each["rounds_p50_ms"] for each in results["measurements"]
    }
    artifacts = {each["file"]: each for each in results["artifacts"]}
    rows = []
    for (file, threads, batch), quantized in medians.items():
        ours = artifacts[file]
        theirs = float_partner(ours, results["artifacts"]) if ours["precision"] == "int8" else None
        plain = medians.get((theirs["file"], threads, batch)) if theirs else None
        if plain is None:
            continue
        ratios = [own / other for own, other in zip(quantized, plain, strict=True)]
        low, high = median_interval(ratios)
        rows.append(
            {
                "label": ours["label"],
                "runtime": ours["runtime"],
                "threads": threads,
                "batch": batch,
                "ratio": statistics.median(ratios),
                "low": low,
                "high": high,
                "verdict": "slower" if low > 1 else "faster" if high < 1 else "not told apart",
            }
        )
    return rows


def float_partner(artifact: dict, artifacts: list[dict]) -> dict | None:
    """The one float32 file of the same network on the same runtime: of the same folder or run where there are several.

    The same network: of the same name and, where both say them, with as many MACs. None: there is no such file, or
    several without anything to choose by.
    """

    found = [
        each
        for each in artifacts
        if each["precision"] == "float32"
        and (each["name"], each["runtime"]) == (artifact["name"], artifact["runtime"])
        and (None in (each["macs"], artifact["macs"]) or each["macs"] == artifact["macs"])
    ]
    beside = [each for each in found if Path(each["file"]).parent == Path(artifact["file"]).parent]
    of_run = [each for each in found if each["run"] is not None and each["run"] == artifact["run"]]
    return next((closest[0] for closest in (beside, of_run, found) if len(closest) == 1), None)


def without_partner(results: dict) -> list[str]:
    """The INT8 files that `int8_against_float` compares with nothing."""
    artifacts = results["artifacts"]
    return [
        each["file"] for each in artifacts if each["precision"] == "int8" and float_partner(each, artifacts) is None
    ]


def median_interval(values: list[float]) -> tuple[float, float]:
    """The 95% interval of the median, by order statistics: whatever the distribution. Up to 8 values: their range."""
    outside = max(int(binom.ppf(0.025, len(values), 0.5)), 1)
    ordered = sorted(values)
    return ordered[outside - 1], ordered[-outside]


def sentences(results: dict, runtimes: dict[str, str]) -> list[str]:
    """What `int8_against_float` finds, in words, and which INT8 files it compares with nothing.

    Args:
        runtimes: their names for people.
    """
    rows, alone = int8_against_float(results), without_partner(results)
    lines = _verdicts(rows, runtimes) if rows else []
    if alone:
        files = "\n".join(f"- {in_markdown(file)}" for file in alone)
        lines += ["Not compared, for want of one float32 file of the same network on the same runtime:", files]
    return lines


def _verdicts(rows: list[dict], runtimes: dict[str, str]) -> list[str]:
    slower = [row for row in rows if row["verdict"] == "slower"]
    unclear = [row for row in rows if row["verdict"] == "not told apart"]
    lines = ["**INT8 against float32.** The ratio of their times, median over the rounds, with its 95% interval."]
    if slower:
        lines += ["INT8 is slower than float32 on this CPU for:", _list(slower, runtimes)]
    else:
        lines.append("INT8 is nowhere slower than float32 on this CPU.")
    if unclear:
        lines += ["The rounds do not tell the two apart for:", _list(unclear, runtimes)]
    faster = [row for row in rows if row["verdict"] == "faster"]
    if faster:
        lines += ["It is faster for:", "\n".join(_speedups(faster, runtimes))]
    return lines


def _list(rows: list[dict], runtimes: dict[str, str]) -> str:
    return "\n".join(
        f"- {in_markdown(row['label'])} on {runtimes[row['runtime']]}, {row['threads']} "
        f"thread{'s' * (row['threads'] > 1)}, batch {row['batch']}: "
        f"{row['ratio']:.2f} times the time ({row['low']:.2f} to {row['high']:.2f})"
        for row in rows
    )


def _speedups(rows: list[dict], runtimes: dict[str, str]) -> list[str]:
    """A line for each network and runtime, over threads and batch sizes."""
    of: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        of.setdefault((row["label"], row["runtime"]), []).append(1 / row["ratio"])
    return [
        f"- {in_markdown(label)} on {runtimes[runtime]}: {_range(speeds)} times as fast"
        for (label, runtime), speeds in of.items()
    ]


def _range(speeds: list[float]) -> str:
    low, high = f"{min(speeds):.2f}", f"{max(speeds):.2f}"
    return low if low == high else f"{low} to {high}"
