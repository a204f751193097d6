"""Faults and what becomes of them: commands killed at random moments, and the fault tests; docs/reliability.md.

Each killed command is given again, and must end in exactly the result of an undisturbed run: weights and predictions
bit for bit, the same history and tables, nothing left over.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.fault_scenarios import PROJECT, SCENARIOS, kill_and_repeat, run_undisturbed
from pipelines.errors import InputError
from tfcifar.cli import make_parser, run

EPILOG = """examples:
  python -m benchmarks.faults --output docs/reliability.md --record
  python -m benchmarks.faults --kills 2 --only training export --no-tests      # a look"""

# What can happen, what becomes of it, and the test that makes it happen.
FAULTS = (
    ("training killed in mid-epoch", "resumes to identical weights and history",
     "tests/integration/test_resume.py::test_a_run_killed_in_mid_epoch_resumes_to_identical_weights_and_history"),
    ("a search killed at any of its writes", "goes on to the same trials and the same winner",
     "tests/tuner/test_search_interrupted.py::test_a_search_killed_at_any_of_its_writes_ends_as_if_it_had_not_been"),
    ("a killed search's trial still at work", "the search waits for it and takes its result",
     "tests/tuner/test_search_interrupted.py::test_a_trial_waits_for_the_process_that_a_killed_search_left"),
    ("full disk", "one line, exit code 2, nothing half-written; resumes to the same result",
     "tests/integration/test_faults.py::test_a_full_disk_ends_training_in_one_line_and_it_resumes"),
    ("read-only folder", "one line, exit code 2",
     "tests/integration/test_faults.py::test_a_folder_that_may_not_be_written_to_is_one_line"),
    ("second process on a run directory", "refused, with the first one's number; nothing changed",
     "tests/integration/test_faults.py::test_a_second_process_on_the_run_directory_is_refused_and_changes_nothing"),
    ("lock and half files of a dead process", "taken over, removed",
     "tests/tfcifar/test_run_lock.py::test_the_lock_of_a_killed_process_is_taken_over_and_what_it_was_writing_goes"),
    ("newest checkpoint damaged", "told by its checksum; goes on from the one before it to the same result",
     "tests/integration/test_faults.py::test_a_damaged_newest_checkpoint_costs_an_epoch_and_nothing_else"),
    ("all checkpoints damaged", "one line",
     "tests/tfcifar/test_checkpoint.py::test_where_no_state_is_whole_that_is_an_error"),
    ("any bit of a cache or checkpoint turned", "told by its checksum",
     "tests/tfcifar/test_arrays.py::test_whatever_bit_turns_the_arrays_are_the_same_or_refused"),
    ("cached predictions damaged", "made again, said and on the record; commands that cannot are one line",
     "tests/integration/test_faults.py::test_damaged_predictions_are_made_again_on_the_record_and_said"),
    ("cached teachers' logits damaged", "those views are asked for again",
     "tests/tfcifar/test_distillation.py::test_damaged_views_are_asked_for_again_and_no_others"),
    ("model.keras damaged", "one line",
     "tests/integration/test_faults.py::test_a_damaged_model_is_one_line"),
    ("recipe or record of a run damaged", "one line",
     "tests/integration/test_faults.py::test_a_damaged_record_is_one_line"),
    ("clock set to and fro by hours", "the same result; durations are right",
     "tests/integration/test_faults.py::test_a_clock_that_jumps_changes_no_duration"),
    ("NaN loss", "stops at that step, with the batch's figures and advice; the last good weights are kept",
     "tests/tfcifar/test_divergence.py::test_the_run_stops_there_with_advice_and_the_weights_before_it"),
    ("after a NaN loss", "goes on with a lower learning rate, on record",
     "tests/tfcifar/test_divergence.py::test_it_goes_on_from_the_last_good_epoch_with_another_rate_on_record"),
)  # fmt: skip


def parse(argv: list[str] | None) -> argparse.Namespace:
    names = [scenario.name for scenario in SCENARIOS]
    parser = make_parser("benchmarks.faults", __doc__, EPILOG)
    parser.add_argument("--kills", type=int, default=5, metavar="N",
                        help=f"of each of the {len(names)} kinds of command (default %(default)s)")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="KIND", help=", ".join(names))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments (default 0)")
    parser.add_argument("--no-tests", action="store_true", help="leave out the fault tests")
    parser.add_argument("--output", type=Path, help="Markdown file whose section to write; the table is printed")
    parser.add_argument("--record", action="store_true", help="put the number of survived kills on record")
    args = parser.parse_args(argv)
    if args.kills < 1:
        parser.error(f"--kills: expected 1 or more, received {args.kills}")
    if (args.record or args.output) and (args.no_tests or args.only != names):
        parser.error("--output, --record: expected all kinds of command, and the tests")
    return args


def measure_kills(only: list[str], kills: int, seed: int) -> list[dict]:
    """A row for each kind of command: `name`, `kills`, `survived`, `moments` (shares of its time), `failures`."""
    rows = []
    for scenario in SCENARIOS:
        if scenario.name not in only:
            continue
        moments = random.Random(f"{seed} {scenario.name}")
        row = {"name": scenario.name, "kills": kills, "survived": 0, "moments": [], "failures": []}
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            undisturbed = run_undisturbed(scenario, Path(folder))
            for kill in range(kills):
                moment = moments.random()
                failure = kill_and_repeat(scenario, undisturbed, Path(folder) / f"kill{kill}", moment)
                row["moments"].append(moment)
                row["failures"] += [failure] if failure else []
                row["survived"] += not failure
                said = f"differs: {failure}" if failure else "the same result"
                print(f"{scenario.name}: killed at {moment:.0%} of {undisturbed.seconds:.1f} s: {said}", flush=True)
        rows.append(row)
    return rows


def run_tests() -> dict[str, str]:
    """Name of each test function in FAULTS -> "passed", "failed" or "skipped", by pytest."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        report = Path(folder) / "report.xml"
        tests = [test for _, _, test in FAULTS]
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *tests],
            cwd=PROJECT, stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if not report.is_file():
            raise InputError("faults: pytest did not run the fault tests; see python -m pytest tests/integration.")
        return outcomes(ElementTree.parse(report).iter("testcase"))


def outcomes(cases) -> dict[str, str]:
    """Of a test with several parameters the worst counts."""
    ranks, found = ("skipped", "passed", "failed"), {}
    for case in cases:
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        name = case.get("name").partition("[")[0]
        found[name] = max(found.get(name, outcome), outcome, key=ranks.index)
    return found


def table(rows: list[dict], tested: dict[str, str] | None) -> str:
    """Markdown: a row for each kind of command that was killed, and for each fault with a test."""
    lines = ["| fault | what becomes of it | seen by |", "|---|---|---|"]
    for row in rows:
        lines.append(
            f"| SIGKILL at a random moment of: {row['name']} | **{row['survived']} of {row['kills']}**: given again, "
            "it ends in exactly the result of an undisturbed run | `benchmarks.faults` |"
        )
    for fault, outcome, test in FAULTS if tested is not None else ():
        file, _, name = test.partition("::")
        state = tested.get(name, "not run")
        lines.append(f"| {fault} | {outcome if state == 'passed' else f'**{state}**'} | [`{name}`](../{file}) |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    started = time.perf_counter()
    rows = measure_kills(args.only, args.kills, args.seed)
    tested = None if args.no_tests else run_tests()
    text = table(rows, tested)
    kills, survived = (sum(row[name] for row in rows) for name in ("kills", "survived"))
    print(f"{text}\n\n{survived} of {kills} kills lost nothing.")
    if args.output or args.record:
        from tfcifar.environment import describe_environment

        environment, seconds = describe_environment(), time.perf_counter() - started
        if args.output:
            from benchmarks.document import write_section

            note = (
                f"{environment['hardware']}; TensorFlow {environment['packages']['tensorflow']}, Keras "
                f"{environment['packages']['keras']}. {survived} of {kills} kills lost nothing. Moments are drawn with "
                f"seed {args.seed}, uniformly over the time in which the command has its folder locked; what is "
                "compared is every array, weight, table and exported file, and that nothing is left over."
            )
            write_section(args.output, "faults", f"    {environment['command']}\n\n{note}\n\n{text}")
        if args.record:
            from benchmarks.records import summary_entry
            from tfcifar.reporting.results import put_on_record

            figure = ("faults", "kills_survived", survived, "kills")
            put_on_record([summary_entry(*figure, environment, round(seconds, 1), "docs/reliability.md", n=kills)])
    if survived < kills or (tested and "failed" in tested.values()):
        sys.exit(1)


if __name__ == "__main__":
    run(main)
