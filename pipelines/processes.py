"""Which processes there are, to tell what one at work will still need from what a dead one has left."""

import os


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True
