"""What goes on record."""

import pytest

from tfcifar.reporting.results import command_without_run


@pytest.mark.parametrize(
    "command",
    [
        "python -m tfcifar.train --level 2 --seed 0 1 2 --set epochs=3",
        "python -m tfcifar.train --level 2 --resume --set epochs=3",
        "python -m tfcifar.train --run-dir runs/x --level 2 --set epochs=3 --seed 7",
    ],
)
def test_the_command_on_record_loses_what_belongs_to_one_run_and_nothing_else(command):
    assert command_without_run(command) == "python -m tfcifar.train --level 2 --set epochs=3"
