"""What exported files are worth: each judged on validation and test images, beside the model that it was made from."""

from functools import partial
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from export.card import describe_artifact, write_card
from export.corrupted import judge_corrupted
from export.onnx import float_operations
from export.parity import agreement
from export.runtimes import Runtime, open_artifact
from pipelines.disk_images import Images
from pipelines.sources import Examples
from pipelines.splits import Splits
from tfcifar.evaluation.acceptance import fit_acceptance
from tfcifar.evaluation.metrics import classification_metrics
from tfcifar.evaluation.openings import model_digest, open_test_on_record
from tfcifar.evaluation.scaling import fit_temperature
from tfcifar.evaluation.statistics import compare
from tfcifar.evaluation.tta import predict_logits
from tfcifar.models.complexity import count_macs
from tfcifar.recipe_json import load_json
from tfcifar.run_dir import RunDir

BATCH = 50  # images
FIGURES = ("n", "accuracy", "accuracy_ci95", "loss", "ece", "brier")


def verify(
    model: keras.Model,
    run_dir: RunDir,
    splits: Splits,
    paths: dict[str, Path],
    name: str,
    on_test: bool = True,
    corrupted: int = 0,
) -> tuple[list[dict], np.ndarray]:
    """Judge each file of `paths` and write its card.

    The test split is opened once, on the record. Temperatures are fitted on the validation split; where the run has
    trained on it there is none.

    Args:
        model: of `run_dir`, from which the files were made.
        paths: by form, see `write_artifacts`.
        name: of the cards.
        on_test: judge on the test split too.
        corrupted: judge on so many corrupted images too, of the split judged last; 0: on none.

    Returns:
        The cards. Beside what `describe_artifact` says they hold `parameters`, of an INT8 file for ONNX Runtime
        `float_operations` (how many it computes in float32), `metrics` by split (`n`, `accuracy`,
        `accuracy_ci95`, `nll`, `ece`, `brier`; of the test split also `calibrated`: `nll`, `ece`; with `corrupted`, see
        `judge_corrupted`), `calibration` (`temperature`), `acceptance` (see `fit_acceptance`), `parity` by split (see
        `export.parity.agreement`), and `flips` of the split judged last, test before validation: how many images the
        model gets right and the file wrong (`broken`) and the other way round (`mended`), with a paired test. And which
        images of that split each file breaks: bool [files, n].
    """
    examples = {}
    if not load_json(run_dir.recipe).data.train_on_validation:
        examples["validation"] = splits.validation
    if on_test:
        examples["test"], _ = open_test_on_record(run_dir, splits.source, model_digest(run_dir), "none", "export")
    expected = {split: predict_logits(model, each.images, "none") for split, each in examples.items()}
    last = list(examples)[-1]
    cards, broken = {}, []
    for form, path in tqdm(paths.items(), desc="verify", unit="file", disable=None):
        runtime = open_artifact(path)
        logits = {split: _predict(runtime, each.images) for split, each in examples.items()}
        card = describe_artifact(path, name, form, run_dir, runtime.image_shape, count_macs(model))
        if form == "onnx_int8":
            card["float_operations"] = float_operations(path)
        card["parameters"] = model.count_params()
        card["metrics"] = {split: _metrics(logits[split], each, splits) for split, each in examples.items()}
        card["parity"] = {split: agreement(expected[split], logits[split]) for split in examples}
        if "validation" in examples:
            scaling = fit_temperature(logits["validation"], splits.validation.labels)
            card["calibration"] = {"temperature": scaling.temperature, "fitted_on": "validation"}
            card["acceptance"] = fit_acceptance(logits["validation"], splits.validation.labels, scaling)
            if on_test:
                found = classification_metrics(
                    scaling.apply(logits["test"]), examples["test"].labels, splits.class_names
                )
                card["metrics"]["test"]["calibrated"] = {"nll": found["loss"], "ece": found["ece"]}
        right, was_right = (each[last].argmax(-1) == examples[last].labels for each in (logits, expected))
        card["flips"] = {
            "split": last,
            "broken": int((was_right & ~right).sum()),
            "mended": int((right & ~was_right).sum()),
            **{key: compare(right, was_right)[key] for key in ("difference", "interval95", "p_value", "verdict")},
        }
        write_card(path, card)
        cards[form] = card
        broken.append(was_right & ~right)
    if corrupted:
        predictors = {form: partial(_predict, open_artifact(path)) for form, path in paths.items()}
        temperatures = {
            form: card["calibration"]["temperature"] for form, card in cards.items() if "calibration" in card
        }
        judged = judge_corrupted(predictors, examples[last], splits.class_names, corrupted, temperatures)
        for form, card in cards.items():
            card["metrics"][last]["corrupted"] = judged[form]
            write_card(paths[form], card)
    return list(cards.values()), np.stack(broken)


def _metrics(logits: np.ndarray, examples: Examples, splits: Splits) -> dict:
    found = classification_metrics(logits, examples.labels, splits.class_names)
    return {"nll" if figure == "loss" else figure: found[figure] for figure in FIGURES}


def _predict(runtime: Runtime, images: Images) -> np.ndarray:
    parts = range(0, len(images), BATCH)
    return np.concatenate([runtime(np.ascontiguousarray(images[at : at + BATCH])) for at in parts])
