"""What all entry points share: one line and exit code 2 for bad input, and a quiet start of TensorFlow."""

import argparse
import errno
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from pipelines.errors import CannotWriteError, InputError, cannot_write, first_line
from tfcifar.training.devices import STRATEGIES

# Lines that the C++ side of TensorFlow and LiteRT writes at every start, before its own log level counts.
GREETING = re.compile(
    r"INFO: Created TensorFlow Lite XNNPACK delegate|"
    r"WARNING: All log messages before absl::InitializeLog|"
    r"[IWE]\d{4} .*(oneDNN custom operations|cudart_stub|cuInit|cpu_feature_guard)|"
    r"To enable the following instructions"
)


# Of a trial's process, for the search that started it: Python's own code where its output cannot be written at the end.
CANNOT_WRITE = 120


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for all other bad input, where argparse puts the usage before it."""
        self.exit(2, f"error: {message}; --help shows all options\n")


def make_parser(module: str, description: str, examples: str = "") -> argparse.ArgumentParser:
    """The argument parser of the entry point `python -m MODULE`, with its examples behind the options."""
    return _Parser(
        prog=f"python -m {module}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_strategy(parser: argparse._ActionsContainer) -> None:
    """The option of every command that trains, for `tfcifar.training.devices.open_devices`."""
    parser.add_argument("--strategy", choices=STRATEGIES, default="none",
                        help="devices that share each batch: docs/scaling.md (default: one device)")  # fmt: skip


def run(main: Callable[[], None], cannot_write_code: int = 2) -> None:
    """Call `main`; turn InputError into one line on stderr and exit code 2, Ctrl-C into exit code 130.

    A full disk, and a folder that may not be written to, are such a line too, with `cannot_write_code`. A reader of the
    output that leaves early ends it quietly, with exit code 1.
    """
    try:
        main()
    except BrokenPipeError:  # whoever reads the output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer goes nowhere
        sys.exit(1)
    except KeyboardInterrupt:
        print(
            "\ninterrupted; a training goes on with --resume, a ladder or a search with the same command",
            file=sys.stderr,
        )
        sys.exit(130)
    except Exception as error:
        if os.strerror(errno.ENOSPC) in str(error) and not isinstance(error, (OSError, InputError)):  # TensorFlow's own
            error = OSError(errno.ENOSPC, first_line(error))
        explained = cannot_write(error) if isinstance(error, OSError) else error
        if not isinstance(explained, InputError):
            raise
        with suppress(OSError):  # where stderr is a file on the same full disk
            print(f"error: {explained}", file=sys.stderr)
        sys.exit(cannot_write_code if isinstance(explained, CannotWriteError) else 2)


def start_tensorflow() -> None:
    """Import TensorFlow and look for GPUs, without its greeting."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with without_greeting():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")


@contextmanager
def without_greeting() -> Iterator[None]:
    """While the block runs, keep from stderr what would bury the lines meant for the user; the rest comes after it."""
    with tempfile.TemporaryFile() as written:
        stderr = os.dup(2)
        os.dup2(written.fileno(), 2)  # C++ writes to the file descriptor, not to sys.stderr
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            written.seek(0)
            for line in written.read().decode(errors="replace").splitlines():
                if not GREETING.match(line):
                    print(line, file=sys.stderr)
