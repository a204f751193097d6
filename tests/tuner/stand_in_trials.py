"""`tuner.search` whose trials do not train: they take a while, and are the better the more dropout they have.

python -m tests.tuner.stand_in_trials SECONDS [options of tuner.search]
"""

import csv
import json
import sys
import time
from pathlib import Path

from tfcifar.cli import run
from tfcifar.recipe_json import load_json

SMALL = ("--recipe", "smoke", "--oracle", "random", "--set", "epochs=1")


def accuracy_of(recipe) -> float:
    return round(0.5 + recipe.model.dropout, 3)


def write_stand_in(run_dir, recipe) -> None:
    """What a trial of `recipe` is judged by."""
    run_dir.path.mkdir(parents=True, exist_ok=True)
    timing = {"epochs": recipe.epochs, "seconds": 1.0, "val_accuracy": accuracy_of(recipe)}
    run_dir.timing.write_text(json.dumps(timing))


def rows_of(output: Path) -> list[dict]:
    return list(csv.DictReader((output / "trials.csv").open()))


def main() -> None:
    from tuner import search, trials

    seconds = float(sys.argv.pop(1))

    def train(path, run_dir, log, strategy):
        with log.open("a") as file:
            file.write("started\n")
        time.sleep(seconds)
        write_stand_in(run_dir, load_json(path))
        return 0

    trials.train_in_child = train
    run(search.main)


if __name__ == "__main__":
    main()
