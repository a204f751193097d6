"""Judge several runs on the same corrupted images."""

import numpy as np
from tqdm import tqdm

from pipelines.corruptions import corrupt
from pipelines.errors import InputError
from pipelines.sources import Examples
from tfcifar.environment import record_command
from tfcifar.evaluation.members import different_names
from tfcifar.evaluation.openings import model_digest, open_test_on_record
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.saved import load_model
from tfcifar.recipe_data import open_splits
from tfcifar.recipe_json import load_json
from tfcifar.robustness.attacks import attack_rows
from tfcifar.robustness.predictions import CLEAN, Predictions, file_of
from tfcifar.robustness.scores import score_rows
from tfcifar.run_dir import RunDir, write_csv
from tfcifar.training.trainer import check_same_data

SEED = 0  # of the corruptions, and of the choice of images: the same for every run


def judge_runs(
    run_dirs: list[RunDir],
    corruptions: list[str],
    severities: list[int],
    split: str = "test",
    limit: int | None = None,
    attacked: int = 0,
) -> None:
    """Write robustness/predictions.npz, scores.csv and, with `attacked`, attacks.csv of each run.

    Predictions that a run holds already, of the same model, are taken as they are; where all of them are there, the
    images are not opened. Those of the validation split stand in files of their own, validation_*.

    Args:
        corruptions, severities: at least one of each.
        split: "test" (opened on the record) or "validation".
        limit: images, drawn by a fixed seed; None: all of the split.
        attacked: images that FGSM and PGD are tried on, at most the limit; 0: no attack.

    Raises:
        InputError: the data is not what a run was trained on, or not the same for all of them.
    """
    names = different_names("robustness", run_dirs)
    held = [Predictions(run_dir, split, model_digest(run_dir)) for run_dir in run_dirs]
    plan = {CLEAN: [0], **dict.fromkeys(corruptions, severities)}

    opened = [each for each in held if attacked or not each.has_all(plan, limit)]
    models = {}
    examples: Examples | None = None
    for each in opened:
        examples = _open_split(each, limit)
        models[each] = load_model(each.run_dir.model)
    for each in held:
        if each.checksum != held[0].checksum:
            raise InputError(
                f"robustness: {each.run_dir.name} and {names[0]} were trained on different data, "
                f"and have different {split} images."
            )

    for name in tqdm(plan, desc="corruptions", disable=None if opened else True):
        added = set()
        for severity in plan[name]:
            lacking = [each for each in held if not each.has(name, severity, limit)]
            if lacking:
                assert examples is not None  # what lacks anything was opened
                ids = lacking[0].ids[: lacking[0].images(limit)]
                images = examples.images[ids]
                if name != CLEAN:
                    images = corrupt(images, name, severity, SEED, ids)
                for each in lacking:
                    each.add(name, severity, predict_logits(models[each], images, "none"))
            added |= set(lacking)
        for each in added:
            each.save()
    for each in held:
        write_csv(file_of(each.run_dir, split, "scores.csv"), score_rows(each, plan, limit))
        record_command(each.run_dir.path)
        if attacked:
            assert examples is not None  # all were opened
            count = min(attacked, each.images(limit))
            images, labels = examples.images[each.ids[:count]], each.labels[:count]
            about = {"run": each.run_dir.name, "model_sha256": each.digest, "split": split, "images": count}
            rows = [about | row for row in attack_rows(models[each], images, labels, each.run_dir.name)]
            write_csv(file_of(each.run_dir, split, "attacks.csv"), rows)


def _open_split(held: Predictions, limit: int | None) -> Examples:
    """The images of the split, about which `held` then knows enough to take predictions."""
    splits, _ = open_splits(load_json(held.run_dir.recipe).data)
    check_same_data(held.run_dir, splits)
    if held.split == "test":
        examples, checksum = open_test_on_record(held.run_dir, splits.source, held.digest, "none", "robustness")
    else:
        examples, checksum = splits.validation, splits.checksums["validation"]
    ids = drawn_images(len(examples), limit)
    held.belong_to(ids, examples.labels[ids], checksum, len(examples))
    return examples


def drawn_images(count: int, limit: int | None) -> np.ndarray:
    """int64 [min(limit, count)]: which of `count` images a limit leaves; a smaller limit leaves the first of them."""
    return np.random.RandomState(SEED).permutation(count)[:limit]
