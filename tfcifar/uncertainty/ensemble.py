"""The deep ensemble of several runs, from the logits that their evaluations kept.

Lakshminarayanan, Pritzel and Blundell 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
Ensembles" (arXiv:1612.01474): the mean of the members' probabilities, all of the same weight.
"""

import numpy as np

from pipelines.errors import InputError
from tfcifar.evaluation.members import load_members
from tfcifar.evaluation.metrics import softmax
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir
from tfcifar.uncertainty import BALD, ENSEMBLE, ENTROPY, MC_DROPOUT
from tfcifar.uncertainty.outputs import Judged, Outputs, judge
from tfcifar.uncertainty.scores import score_sources
from tfcifar.uncertainty.selective import compare_aurc


def judge_ensemble(run_dirs: list[RunDir], split: str) -> dict[str, Judged]:
    """The ensemble on `split` and, beside the test split, on validation where no member was trained on it.

    Raises:
        InputError: a run is not evaluated, or the runs were judged on different images.
    """
    members = load_members([run_dir.path for run_dir in run_dirs], need_validation=split == "validation")
    honest = not any(load_json(run_dir.recipe).data.train_on_validation for run_dir in run_dirs)
    judged = {}
    if honest and members.validation_logits is not None:
        logits, labels = members.validation
        judged["validation"] = judge(softmax(logits), labels)
    if split == "test":
        judged["test"] = judge(softmax(members.test_logits), members.test_labels)
    return judged


def score_ensemble(judged: dict[str, Judged], run_dirs: list[RunDir], outputs: list[Outputs]) -> dict:
    """The ensemble of all runs, and each run's MC dropout against it.

    Args:
        judged: of `judge_ensemble`, for the split of `outputs`.
        run_dirs, outputs: the members and what `measure_run` gave for them.

    Returns:
        `runs` (names), `split`, what `score_sources` gives, and `against_mc_dropout`: rows of `run`, `measure`
        (predictive entropy, mutual information) and `compare_aurc` of the ensemble (one) and that run (other).

    Raises:
        InputError: the runs were judged on different images.
    """
    split = outputs[0].settings["split"]
    for run_dir, each in zip(run_dirs, outputs, strict=True):
        if not np.array_equal(each.labels[split], outputs[0].labels[split]):
            raise InputError(f"ensemble: {run_dir.name} and {run_dirs[0].name} were judged on other {split} images.")
    return {
        "runs": [run_dir.name for run_dir in run_dirs],
        "split": split,
        **score_sources({name: {ENSEMBLE: each} for name, each in judged.items()}, split),
        "against_mc_dropout": [
            {"run": run_dir.name, "measure": measure}
            | compare_aurc(judged[split], each.judged[split][MC_DROPOUT], measure)
            for run_dir, each in zip(run_dirs, outputs, strict=True)
            if MC_DROPOUT in each.judged[split]
            for measure in (ENTROPY, BALD)
        ],
    }
