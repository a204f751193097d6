"""Which steps of a ladder are finished, in its folder: what a second start need not do again."""

from pathlib import Path

from pipelines.errors import InputError
from tfcifar.evaluation.openings import judged_on
from tfcifar.ladder.steps import Step, place_of
from tfcifar.run_dir import RunDir, read_json, write_json


class Journal:
    """FOLDER/ladder.json: the seconds that each finished command took, and the images that all levels share."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "ladder.json"
        kept = read_json(self.path) if self.path.is_file() else {"split": None, "finished": {}}
        self.split: dict | None = kept["split"]
        self.seconds: dict[str, float] = kept["finished"]

    def is_finished(self, step: Step) -> bool:
        return step.command in self.seconds

    def forget(self, steps: list[Step]) -> None:
        """Have these steps done again."""
        for step in steps:
            self.seconds.pop(step.command, None)
        self._write()

    def finish(self, step: Step, seconds: float) -> None:
        """Note that `step` has ended well.

        Raises:
            InputError: it trained or was judged on other images than the levels before.
        """
        if step.name == "train":
            self._check_split(step)
        self.seconds[step.command] = round(seconds, 1)
        self._write()

    def _check_split(self, step: Step) -> None:
        """The first level's images are frozen: what is measured on others is not to be compared."""
        run_dir = RunDir(place_of(self.folder, step.level))
        split = judged_on(run_dir) | {"train": read_json(run_dir.environment)["data"]["train"]}
        if self.split is None:
            self.split = split
        changed = [part for part in split if split[part] != self.split[part]]
        if changed:
            raise InputError(
                f"ladder: {run_dir.path} has other {', '.join(changed)} images than the levels before it; "
                "a ladder stands on one split. Another --output begins another ladder."
            )

    def _write(self) -> None:
        write_json(self.path, {"split": self.split, "finished": self.seconds})
