"""What follows from the figures of `export.benchmark`: where INT8 is faster than float32, and where it is not."""

import statistics

from scipy.stats import binom

from tfcifar.reporting.tables import in_markdown


def int8_against_float(results: dict) -> list[dict]:
    """INT8 against float32 of the same network on the same runtime, for each number of threads and batch size.

    Args:
        results: with `artifacts` and `measurements`, as in benchmark.json.

    Returns:
        Rows of `name`, `runtime`, `threads`, `batch`, `ratio` (time of INT8 to that of float32: the median over the
        rounds), `low` and `high` (see `median_interval`), `verdict`: "slower", "faster" or, where 1 is between these
        two, "not told apart".
    """
    kinds = {each["file"]: (each["name"], each["runtime"], each["precision"]) for each in results["artifacts"]}
    times = {
        (*kinds[each["file"]], each["threads"], each["batch"]): each["rounds_p50_ms"]
        for each in results["measurements"]
    }
    rows = []
    for (name, runtime, precision, threads, batch), quantized in times.items():
        plain = times.get((name, runtime, "float32", threads, batch))
        if precision != "int8" or plain is None:
            continue
        ratios = [ours / theirs for ours, theirs in zip(quantized, plain, strict=True)]
        low, high = median_interval(ratios)
        rows.append(
            {
                "name": name,
                "runtime": runtime,
                "threads": threads,
                "batch": batch,
                "ratio": statistics.median(ratios),
                "low": low,
                "high": high,
                "verdict": "slower" if low > 1 else "faster" if high < 1 else "not told apart",
            }
        )
    return rows


def median_interval(values: list[float]) -> tuple[float, float]:
    """The 95% interval of the median, by order statistics: whatever the distribution. Up to 8 values: their range."""
    outside = max(int(binom.ppf(0.025, len(values), 0.5)), 1)
    ordered = sorted(values)
    return ordered[outside - 1], ordered[-outside]


def sentences(rows: list[dict], runtimes: dict[str, str]) -> list[str]:
    """The rows of `int8_against_float` in words: none where nothing was compared.

    Args:
        runtimes: their names for people.
    """
    if not rows:
        return []
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
        f"- {in_markdown(row['name'])} on {runtimes[row['runtime']]}, {row['threads']} "
        f"thread{'s' * (row['threads'] > 1)}, batch {row['batch']}: "
        f"{row['ratio']:.2f} times the time ({row['low']:.2f} to {row['high']:.2f})"
        for row in rows
    )


def _speedups(rows: list[dict], runtimes: dict[str, str]) -> list[str]:
    """A line for each network and runtime, over threads and batch sizes."""
    of: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        of.setdefault((row["name"], row["runtime"]), []).append(1 / row["ratio"])
    return [
        f"- {in_markdown(name)} on {runtimes[runtime]}: {_range(speeds)} times as fast"
        for (name, runtime), speeds in of.items()
    ]


def _range(speeds: list[float]) -> str:
    low, high = f"{min(speeds):.2f}", f"{max(speeds):.2f}"
    return low if low == high else f"{low} to {high}"
