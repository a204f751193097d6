"""Distillation: teachers, and the loss that compares a student to what they say.

Hinton, Vinyals and Dean 2015 (arXiv:1503.02531); Beyer et al. 2022, "Knowledge distillation: a good teacher is patient
and consistent" (arXiv:2106.05237); Romero et al. 2015 (FitNets, arXiv:1412.6550) for the features.
"""

import keras
import numpy as np
from keras import ops

from pipelines.errors import InputError
from pipelines.splits import Splits
from tfcifar.ensemble.saved import Ensemble, load_ensemble
from tfcifar.ensemble.votes import log_probabilities, mixture
from tfcifar.evaluation.openings import model_digest
from tfcifar.models.features import with_features
from tfcifar.models.inference import fast_logits
from tfcifar.models.multi_task import CLASSES
from tfcifar.models.saved import load_model
from tfcifar.recipe import Recipe
from tfcifar.run_dir import RunDir, read_json

FEATURES = "features"  # the name of the output that is compared with the teacher's features
IMAGES_AT_ONCE = 250  # of a teacher, which may upscale them: 1000 at 224 pixels would take 10 GB


class DistillationLoss(keras.losses.Loss):
    """(1 - weight) * CE(labels, softmax(z)) + weight * T^2 * KL(softmax(t / T) || softmax(z / T)), mean over the batch.

    T^2 keeps the gradients' size whatever the temperature T. y_true is [n, 2k], labels and then the teacher's
    logits t (log-probabilities do as well); y_pred [n, k], logits z of the student.
    """

    def __init__(self, temperature: float, weight: float, name: str = "distillation"):
        super().__init__(name=name)
        self.temperature, self.weight = temperature, weight

    def call(self, y_true, y_pred):
        labels, teacher = ops.split(y_true, 2, axis=-1)
        hard = ops.categorical_crossentropy(labels, y_pred, from_logits=True)
        soft = ops.softmax(teacher / self.temperature)
        divergence = soft * (ops.log_softmax(teacher / self.temperature) - ops.log_softmax(y_pred / self.temperature))
        return (1 - self.weight) * hard + self.weight * self.temperature**2 * ops.sum(divergence, axis=-1)


def label_accuracy() -> keras.metrics.Metric:
    """Accuracy where y_true is [n, 2k] as in `DistillationLoss`; called "accuracy"."""

    def against_labels(y_true, y_pred):
        return keras.metrics.categorical_accuracy(ops.split(y_true, 2, axis=-1)[0], y_pred)

    return keras.metrics.MeanMetricWrapper(against_labels, name="accuracy")


def with_feature_projection(model: keras.Model, width: int) -> keras.Model:
    """`model` with a second output, its features mapped linearly to `width` numbers, as many as the teacher has."""
    features, logits = with_features(model).outputs
    projected = keras.layers.Dense(width, dtype="float32", name=FEATURES)(features)
    return keras.Model(model.input, {CLASSES: logits, FEATURES: projected})


class Teachers:
    """Trained models and ensembles, as one: the mean of their probabilities."""

    def __init__(self, recipe: Recipe, splits: Splits):
        """Raises InputError where a teacher is not there, or knows other classes."""
        self.folders = teacher_folders(recipe)
        for folder in self.folders:
            names = tuple(read_json(folder.environment)["data"]["class_names"])
            if names != tuple(splits.class_names):
                raise InputError(
                    f"distill.teachers: expected the classes {', '.join(splits.class_names)}, {folder.path} knows "
                    f"{', '.join(names)}."
                )
        self.with_features = recipe.distill.feature_weight > 0
        if self.with_features and self.folders[0].ensemble.is_file():
            raise InputError(
                f"distill.feature_weight: expected one run as teacher, {self.folders[0].path} has several."
            )
        self.members = [_Member(folder, self.with_features) for folder in self.folders]

    @property
    def digests(self) -> list[str]:
        return [model_digest(folder) for folder in self.folders]

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Images float32 [n, h, w, 3] in 0..255 -> float16 CLASSES: log-probabilities [n, k]; FEATURES, if asked."""
        parts = [self._part(images[start : start + IMAGES_AT_ONCE]) for start in range(0, len(images), IMAGES_AT_ONCE)]
        return {name: np.concatenate([part[name] for part in parts]).astype(np.float16) for name in parts[0]}

    def _part(self, images: np.ndarray) -> dict[str, np.ndarray]:
        if self.with_features:  # one run, see Distill
            features, logits = self.members[0].answers[0](images)
            return {CLASSES: log_probabilities(logits[None], np.ones(1))[0], FEATURES: features}
        said = np.stack([member(images) for member in self.members])
        return {CLASSES: mixture(said, np.full(len(said), 1 / len(said)))}


def teacher_folders(recipe: Recipe) -> list[RunDir]:
    """Where the teachers are. Raises InputError for what is neither a trained run nor an ensemble."""
    try:
        return [RunDir.existing_or_ensemble(path) for path in recipe.distill.teachers]
    except InputError as error:
        raise InputError(
            f"distill.teachers: {error} tfcifar.ensemble makes an ensemble; --teacher names others."
        ) from None


class _Member:
    """A run or an ensemble: images -> log-probabilities."""

    def __init__(self, folder: RunDir, with_features_too: bool):
        self.ensemble = load_ensemble(folder.path) if folder.ensemble.is_file() else None
        if self.ensemble is not None:
            _check_ensemble(self.ensemble, folder)
        paths = [folder.path] if self.ensemble is None else self.ensemble.run_dirs
        models = [load_model(RunDir(path).model) for path in paths]
        self.answers = [with_features(model).predict_on_batch if with_features_too else fast_logits(model)
                        for model in models]  # fmt: skip

    def __call__(self, images: np.ndarray) -> np.ndarray:
        logits = np.stack([answer(images) for answer in self.answers]).astype(np.float64)
        return log_probabilities(logits, np.ones(1))[0] if self.ensemble is None else self.ensemble.combine(logits)


def _check_ensemble(ensemble: Ensemble, folder: RunDir) -> None:
    """Raises InputError where what it would say here is not what it was judged by."""
    if ensemble.views != "none":
        raise InputError(
            f"distill.teachers: expected an ensemble of plain predictions, {folder.path} averages the views "
            f"{ensemble.views}; make one with --views none."
        )
    for path, digest in zip(ensemble.run_dirs, ensemble.models, strict=True):
        if model_digest(RunDir.existing(path)) != digest:
            raise InputError(
                f"distill.teachers: the model of {path} has changed since {folder.path} was made of it; "
                "run python -m tfcifar.ensemble again."
            )
