"""What a benchmark has measured, in the form of results/summary.json."""


def summary_entry(
    name: str,
    metric: str,
    value: float,
    unit: str,
    environment: dict,
    seconds: float,
    details: str | None,
    n: int = 1,
    std: float | None = None,
) -> dict:
    """One figure.

    Args:
        environment: `command`, `hardware` and `commit`, see `tfcifar.environment.describe_environment`.
        seconds: that it took.
        details: the page that says more, from the top of the project.
        n: how many measurements are behind it.
    """
    return {
        "name": name,
        "metric": metric,
        "value": value,
        "std": std,
        "n": n,
        "unit": unit,
        "command": environment["command"],
        "seconds": seconds,
        "hardware": environment["hardware"],
        "commit": environment["commit"],
        "details": details,
    }
