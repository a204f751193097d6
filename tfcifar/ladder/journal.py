"""Which steps of a ladder are finished, in its folder: what a second start need not do again."""

from pathlib import Path

from pipelines.errors import InputError
from tfcifar.evaluation.openings import judged_on
from tfcifar.ladder.steps import Step, place_of
from tfcifar.run_dir import RunDir, read_json, write_json


class Journal:
    """FOLDER/ladder.json: what each finished command took, and the images that all levels share.

    seconds: by command, all attempts together; of a training at least those of its timing.json, which counts what was
    trained before the ladder came to it as well.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "ladder.json"
        kept = read_json(self.path) if self.path.is_file() else {"split": None, "finished": {}}
        self.split: dict | None = kept["split"]
        self.seconds: dict[str, float] = kept["finished"]
        self._interrupted: dict[str, float] = kept.get("interrupted", {})
        self._reused: list[str] = kept.get("reused", [])

    def is_finished(self, step: Step) -> bool:
        """Whether its command has ended well, and what it left is still there."""
        return step.command in self.seconds and (step.output is None or step.output.is_file())

    def is_trained(self, step: Step) -> bool:
        """Whether `step` is a training, and its run has been trained to its end: the step then takes seconds."""
        return step.name == "train" and self._run_of(step).timing.is_file()

    def is_reused(self, step: Step) -> bool:
        """Whether the run of `step` was there before the ladder came to it: it says nothing of this machine."""
        if self.is_finished(step):
            return step.command in self._reused
        return self.is_trained(step) and not self.spent(step)

    def spent(self, step: Step) -> float:
        """Seconds of those attempts at an unfinished `step` that ended early."""
        return self._interrupted.get(step.command, 0.0)

    def forget(self, steps: list[Step]) -> None:
        """Have these steps done again."""
        for step in steps:
            self.seconds.pop(step.command, None)
        self._reused = [command for command in self._reused if command in self.seconds]
        self._write()

    def interrupt(self, step: Step, seconds: float) -> None:
        """Note that an attempt at `step` has ended early."""
        self._interrupted[step.command] = round(self.spent(step) + seconds, 1)
        self._write()

    def finish(self, step: Step, seconds: float, reused: bool = False) -> None:
        """Note that `step` has ended well, its last attempt after `seconds`.

        Raises:
            InputError: it has left no output; it trained or was judged on other images than the levels before.
        """
        if step.output is not None and not step.output.is_file():
            raise InputError(f"ladder: level {step.level}, {step.name} has ended well, but left no {step.output}.")
        seconds += self._interrupted.pop(step.command, 0.0)
        if step.name == "train":
            self._check_split(step)
            seconds = max(seconds, read_json(self._run_of(step).timing)["seconds"])
        self.seconds[step.command] = round(seconds, 1)
        self._reused += [step.command] * reused
        self._write()

    def _run_of(self, step: Step) -> RunDir:
        return RunDir(place_of(self.folder, step.level))

    def _check_split(self, step: Step) -> None:
        """The first level's images are frozen: what is measured on others is not to be compared."""
        run_dir = self._run_of(step)
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
        kept = {"split": self.split, "finished": self.seconds}
        write_json(self.path, kept | {"interrupted": self._interrupted, "reused": self._reused})
