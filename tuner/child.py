"""`tfcifar.train` for a trial: the same options; it ends when the search that started it does, however that ended.

A search that is killed would otherwise leave its trial training, while another worker, or the search resumed, goes on
with that trial in the same directory.
"""

import os
import sys
import threading

from tfcifar.cli import CANNOT_WRITE, run
from tfcifar.train import main


def end_with_parent() -> None:
    """End this process when the other end of its standard input closes, which the parent never does by itself."""

    def watch():
        os.read(sys.stdin.fileno(), 1)  # not through a buffer, whose lock would be held when this process ends
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    run(main, CANNOT_WRITE)
