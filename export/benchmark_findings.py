"""What follows from the figures of `export.benchmark`: where INT8 is faster than float32, and where it is not."""

import statistics
from pathlib import Path

from scipy.stats import binom

from tfcifar.reporting.tables import in_markdown

TOO_FEW = "too few rounds"
VERDICTS = ("slower", "faster", "not told apart", TOO_FEW)


def int8_against_float(results: dict) -> list[dict]:
    """INT8 against float32 of the same network on the same runtime, for each number of threads and batch size.

    Args:
        results: with `artifacts` and `measurements`, as in benchmark.json.

    Returns:
        Rows of `label`, `runtime`, `threads`, `batch`, `ratio` (time of INT8 to that of float32: the median over the
        rounds), `low` and `high` (see `median_interval`), `verdict`: "slower", "faster" or, where 1 is between these
        two, "not told apart"; "too few rounds" where there is no interval (`low` and `high` are None).
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
        low, high = median_interval(ratios) or (None, None)
        rows.append(
            {
                "label": ours["label"],
                "runtime": ours["runtime"],
                "threads": threads,
                "batch": batch,
                "ratio": statistics.median(ratios),
                "low": low,
                "high": high,
                "verdict": _verdict(low, high),
            }
        )
    return rows


def _verdict(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return TOO_FEW
    return "slower" if low > 1 else "faster" if high < 1 else "not told apart"


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


def median_interval(values: list[float]) -> tuple[float, float] | None:
    """The 95% interval of the median, by order statistics: whatever the distribution. Of 6 to 8 values: their range.

    None for fewer than 6: the range of 5 holds the median in 93.75% of all cases, that of 3 in 75%.
    """
    outside = int(binom.ppf(0.025, len(values), 0.5))
    if outside < 1:
        return None
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
    by = {verdict: [row for row in rows if row["verdict"] == verdict] for verdict in VERDICTS}
    lines = ["**INT8 against float32.** The ratio of their times, median over the rounds, with its 95% interval."]
    if by[TOO_FEW]:
        return [*lines, "Fewer than 6 rounds give no such interval, and so no verdict:", _list(by[TOO_FEW], runtimes)]
    lines.append(
        "Verdicts are not corrected for their number: of 20 pairs that are equally fast, one is told apart by chance."
    )
    if by["slower"]:
        lines += ["INT8 is slower than float32 on this CPU for:", _list(by["slower"], runtimes)]
    else:
        lines.append("INT8 is nowhere measurably slower than float32 on this CPU.")
    if by["not told apart"]:
        lines += ["The rounds do not tell the two apart for:", _list(by["not told apart"], runtimes)]
    if by["faster"]:
        lines += ["It is faster for:", "\n".join(_speedups(by["faster"], runtimes))]
    return lines


def _list(rows: list[dict], runtimes: dict[str, str]) -> str:
    return "\n".join(
        f"- {in_markdown(row['label'])} on {runtimes[row['runtime']]}, {row['threads']} "
        f"thread{'s' * (row['threads'] > 1)}, batch {row['batch']}: {row['ratio']:.2f} times the time"
        + ("" if row["low"] is None else f" ({row['low']:.2f} to {row['high']:.2f})")
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
