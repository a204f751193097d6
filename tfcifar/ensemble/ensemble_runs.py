"""Make one classifier of evaluated runs, judge it, and leave what a run leaves: predictions, metrics, figures."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipelines.errors import InputError
from tfcifar.arrays import write_arrays
from tfcifar.ensemble import VOTES
from tfcifar.ensemble.combination import Combination
from tfcifar.ensemble.judge import (
    best_member,
    contributions,
    diversity,
    fit_and_predict,
    judge,
    lowest_nll,
    member_predictions,
)
from tfcifar.ensemble.saved import Ensemble, save_ensemble
from tfcifar.environment import describe_command
from tfcifar.evaluation.calibration import reliability_bins
from tfcifar.evaluation.members import Members, load_members
from tfcifar.evaluation.metrics import classification_metrics, softmax
from tfcifar.evaluation.openings import judged_on, model_digest
from tfcifar.evaluation.tta import VIEWS
from tfcifar.reporting import figures
from tfcifar.reporting.ensemble_report import write_ensemble_report
from tfcifar.reporting.reliability import plot_reliability
from tfcifar.run_dir import RunDir, read_json, write_csv, write_json

MOST_STACKED = (
    100  # classes; the weights of a stacked vote are members x classes x classes, and dozens of fits choose them
)


def ensemble_runs(
    paths: list[Path], output: Path, vote: str | None = None, views: str = "none", picks: int | None = None
) -> str:
    """Write the ensemble of the runs in `paths` into `output`; return its tables, for the screen.

    Only logits that the runs were evaluated with are read; no split is opened. Everything is fitted and chosen by
    those of the validation split.

    Args:
        vote: one of VOTES; None: all are judged, but the stacked one for at most MOST_STACKED classes, and that of the
            lowest cross-validated cross-entropy is the ensemble.
        views: test-time views that the runs were evaluated with.
        picks: of greedy selection, see `fit_combination`.

    Raises:
        InputError: fewer than two runs, or such as do not go together (see `load_members`); `output` holds a run.
    """
    run_dirs = [RunDir.existing(path) for path in paths]
    folder = RunDir(output)
    if len(run_dirs) < 2:
        raise InputError(f"ensemble: expected at least 2 runs, received {len(run_dirs)}.")
    if folder.recipe.is_file():
        raise InputError(f"--output: {output} holds a run, whose predictions would be lost; expected another folder.")
    members = load_members(paths, views)
    best = best_member(members)
    alone, alone_calibrated = f"best member: {members.names[best]}", "the same, calibrated"
    predictions = {
        alone: member_predictions(members, best, calibrated=False),
        alone_calibrated: member_predictions(members, best, calibrated=True),
    }
    combinations = {}
    votes = [vote] if vote else _votes_for(len(members.class_names))
    for each in tqdm(votes, desc="fit and cross-validate", unit="vote", disable=None):
        combinations[each], predictions[each] = fit_and_predict(members, each, picks)
    rows = judge(members, predictions, against=alone)
    chosen = lowest_nll(rows, votes)

    paths_of_members, models = zip(*_of_members(run_dirs, members, combinations[chosen]), strict=True)
    ensemble = Ensemble(combinations[chosen], paths_of_members, models, views, members.class_names)
    for former in (folder.metrics, folder.predictions, folder.calibration):  # of another ensemble
        former.unlink(missing_ok=True)
    save_ensemble(ensemble, output)
    _write_predictions(folder, members, predictions[chosen])
    _write_metrics(folder, members, ensemble, predictions[chosen])
    by_member, curve = contributions(members, picks or len(members.names))
    pairs = diversity(members)
    for name, table in (("votes", rows), ("members", by_member), ("selection", curve), ("diversity", pairs)):
        write_csv(output / f"{name}.csv", table)
    return write_ensemble_report(folder, ensemble, rows, by_member, curve, pairs)


def _votes_for(num_classes: int) -> list[str]:
    """Those of VOTES that take minutes at most; says so where one is left out."""
    if num_classes <= MOST_STACKED:
        return [*VOTES]
    print(
        f"NOTE: the stacked vote is left out: with {num_classes:,} classes, more than {MOST_STACKED}, its weights "
        "would take hours to fit. --vote stacked fits them.",
        flush=True,
    )
    return [each for each in VOTES if each != "stacked"]


def _of_members(run_dirs: list[RunDir], members: Members, combination: Combination) -> list[tuple[Path, str]]:
    """Path and model of each member of the combination, in its order."""
    by_name = dict(zip(members.names, zip(run_dirs, members.models, strict=True), strict=True))
    return [(run_dir.path, model) for run_dir, model in (by_name[name] for name in combination.members)]


def _write_predictions(folder: RunDir, members: Members, predicted: dict[str, np.ndarray]) -> None:
    """As a run's, log-probabilities in place of logits; those of the validation split are cross-validated."""
    arrays = {"model": np.array(model_digest(folder))}
    for split, log_probabilities in predicted.items():
        arrays[f"{split}_labels"] = getattr(members, f"{split}_labels")
        arrays[f"{split}_logits"] = log_probabilities
    write_arrays(folder.predictions, arrays)


def _write_metrics(folder: RunDir, members: Members, ensemble: Ensemble, predicted: dict[str, np.ndarray]) -> None:
    """metrics.json, per_class.csv, environment.json and figures, as a run has them; costs are the members' sums,
    `macs` of all views."""
    run_dirs = [RunDir(path) for path in ensemble.run_dirs]
    of_runs = [read_json(run_dir.metrics) for run_dir in run_dirs]
    environments = [read_json(run_dir.environment) for run_dir in run_dirs]
    passes = len(VIEWS[ensemble.views])
    sums = {
        name: sum(each[name] for each in of_runs)
        for name in ("parameters", "macs", "train_seconds", "pflop")
        if all(name in each for each in of_runs)  # runs evaluated before compute was counted have no pflop
    }
    sums["macs"] *= passes
    validation = classification_metrics(predicted["validation"], members.validation[1], members.class_names)
    metrics = {
        "run": folder.name,
        "dataset": of_runs[0]["dataset"],
        "split": "test",
        "model": f"{ensemble.combination.vote} vote of {len(run_dirs)}",
        "members": list(ensemble.members),
        "views": ensemble.views,
        **sums,
        "validation_accuracy": validation["accuracy"],
        **classification_metrics(predicted["test"], members.test_labels, members.class_names),
    }
    write_json(folder.metrics, metrics)
    write_csv(folder.per_class, metrics["per_class"])
    hardware = "; ".join(dict.fromkeys(each["hardware"] for each in environments))
    data = environments[0]["data"] | {"test": judged_on(run_dirs[0])["test"]}
    write_json(folder.environment, describe_command() | {"hardware": hardware, "data": data})
    figures.plot_confusion(metrics["confusion"], members.class_names, folder.figures / "confusion_matrix.png")
    figures.plot_per_class(metrics["per_class"], folder.figures / "per_class.png")
    probabilities = softmax(predicted["test"])
    bins = reliability_bins(probabilities.max(-1), probabilities.argmax(-1) == members.test_labels)
    plot_reliability(bins, metrics["ece"], folder.figures / "reliability.png")
