"""What a run ran as and on: command, versions, hardware, git commit."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tfcifar.run_dir import append_line

COMMANDS = "commands.txt"
PACKAGES = ("tensorflow", "keras", "numpy", "tensorflow-datasets")


def describe_environment() -> dict:
    """JSON-ready: `describe_command` and `hardware`."""
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return describe_command() | {"hardware": describe_hardware(gpus)}


def describe_command() -> dict:
    """JSON-ready; without TensorFlow, whose start takes seconds. What was run, with which versions of what.

    `commit` is None outside a git checkout; `uncommitted_changes` says whether it tells all.
    """
    return {
        "command": current_command(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def current_command() -> str:
    """What this process was started with, for example "python -m tfcifar.train --level 1"."""
    return shlex.join(["python", "-m", *_module_and_arguments()])


def record_command(folder: Path) -> None:
    """Add this process' command to commands.txt of a directory that it adds to, unless it stands there already."""
    path, command = folder / COMMANDS, current_command()
    if not path.is_file() or command not in path.read_text(encoding="utf-8").splitlines():
        append_line(path, command)


def _module_and_arguments() -> list[str]:
    """For example ['tfcifar.train', '--level', '1']: what `python -m` was given."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return [spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name, *sys.argv[1:]]


def describe_hardware(gpus: list[str]) -> str:
    """For example '2 cores, AMD EPYC', with the GPUs' names behind."""
    return ", ".join([f"{cores()} core{'s' * (cores() != 1)}", _cpu_name(), *gpus])


def cores() -> int:
    """How many this process may use, where the system tells; else how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):  # no git, or no checkout: the record says so with None
        return None
    return result.stdout.strip()
