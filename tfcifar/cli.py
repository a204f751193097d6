"""What all entry points share: one line and exit code 2 for bad input."""

import os
import sys
from collections.abc import Callable

from pipelines.errors import InputError


def run(main: Callable[[], None]) -> None:
    """Call `main`; turn InputError into one line on stderr and exit code 2, Ctrl-C into exit code 130."""
    # TensorFlow's C++ start-up notes would bury the lines meant for the user; its errors still show.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\ninterrupted; --resume continues a training run from its last whole epoch", file=sys.stderr)
        sys.exit(130)
