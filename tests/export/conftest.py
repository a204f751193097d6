"""The splits that the tests of tfcifar train on."""

from tests.tfcifar.conftest import splits

__all__ = ["splits"]
