"""What every test needs: a quiet TensorFlow, and a dtype policy that no earlier test has left behind."""

import gc
import os
import sys

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_collection_finish():
    """Keep the garbage collector from going through all that was imported again and again: a quarter of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def float32_policy_again():
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].mixed_precision.set_global_policy("float32")
