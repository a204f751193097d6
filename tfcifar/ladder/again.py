"""What a later start of a ladder does again, and what would stand in its way."""

from pipelines.errors import InputError
from tfcifar.ladder.journal import Journal
from tfcifar.ladder.steps import LEVELS, TEACHERS, Step, place_of
from tfcifar.run_dir import RunDir


def begin_at(first: int | None, steps: list[Step], journal: Journal) -> None:
    """Have the steps of level `first` and of those after it done again; also from a level whose run is not there.

    Raises:
        InputError: a level before `first` is not finished; or level 5, as it is, has learned from a run that is to be
            trained anew.
    """
    missing = [step for step in steps if step.level < (first or 0) and not journal.is_finished(step)]
    if missing:
        raise InputError(
            f"--from {first}: expected the levels before to be finished in {journal.folder}, but level "
            f"{missing[0].level} is not ({missing[0].name}); the ladder without --from goes on there."
        )
    anew = [step.level for step in steps if step.name == "train" and not journal.is_trained(step)]
    _check_student(anew, journal)
    begin = min([*anew, first or LEVELS[-1] + 1])
    journal.forget([step for step in steps if step.level >= begin])


def _check_student(anew: list[int], journal: Journal) -> None:
    """What its teachers have said is in its folder, and takes hours to be refused there."""
    student = RunDir(place_of(journal.folder, LEVELS[-1]))
    changed = [place_of(journal.folder, level) for level in TEACHERS if level in anew]
    if changed and (student.teachers / "teachers.json").is_file():
        raise InputError(
            f"ladder: {student.path} has learned from another {changed[0]} than the one that would now be trained: "
            f"move {student.path} away, or put back what it has learned from."
        )
