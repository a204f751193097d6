"""What happens at the end of an epoch, in one visible order; and progress for people."""

import math
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field

import keras
import tensorflow as tf
from tqdm import tqdm

from tfcifar.models.multi_task import CLASSES
from tfcifar.run_dir import RunDir, write_csv, write_whole
from tfcifar.training.checkpoint import save_state, state_variables
from tfcifar.training.phases import HEAD, SMALL_IMAGES, Phase
from tfcifar.training.schedules import plateau_rate
from tfcifar.training.trainable import TrainableModel


@dataclass
class RunState:
    """What a run has done so far; saved with each checkpoint.

    history: rows of history.csv. They hold no times, so that equal runs have equal files.
    seconds: of each epoch: training, waiting for data within it, and all with validation and saving.
    """

    history: list[dict] = field(default_factory=list)
    seconds: list[dict] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        return len(self.history)


class EndOfEpoch(keras.callbacks.Callback):
    """Validate (with the averaged weights if there are any), keep the best model, log, stop early, save the state.

    `validator` is the compiled model that validates: at the images' own size, whatever size the phase trains at.
    Without `val_ds`, where the model trains on the validation images too, the newest model is kept, and history.csv
    has nan for what was not measured.
    """

    def __init__(
        self,
        run_dir: RunDir,
        phase: Phase,
        state: RunState,
        plain_model: keras.Model,
        validator: TrainableModel,
        val_ds: tf.data.Dataset | None,
        patience: int | None,
    ):
        super().__init__()
        self.run_dir, self.phase, self.state = run_dir, phase, state
        self.plain_model, self.validator, self.val_ds = plain_model, validator, val_ds
        self.patience = patience

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()
        self.model.data_wait_seconds = 0.0

    def on_epoch_end(self, epoch, logs=None):
        train_seconds = time.perf_counter() - self.started
        if self.model.epoch_average is not None:
            self.model.epoch_average.update(epoch)
        with self.model.average.applied() if self.model.average is not None else nullcontext():
            row = self._validate(epoch, logs)
            best_before = max((row["val_accuracy"] for row in self.state.history), default=-1.0)
            if row["val_accuracy"] > best_before or self.val_ds is None:
                write_whole(self.run_dir.model, lambda path: self.plain_model.save(path), durable=True)
        self.state.history.append(row)
        write_csv(self.run_dir.history, self.state.history)
        self.state.seconds.append(
            {
                "train": train_seconds,
                "data_wait": self.model.data_wait_seconds,
                "all": time.perf_counter() - self.started,
            }
        )
        save_state(self.run_dir.checkpoints, epoch + 1, state_variables(self.model), asdict(self.state))
        self.state.seconds[-1]["all"] = time.perf_counter() - self.started  # saving included
        if should_stop_early(self.state.history, self.patience):
            print(f"early stop: no better validation accuracy in {self.patience} epochs", flush=True)
            self.model.stop_training = True

    def _validate(self, epoch: int, logs: dict) -> dict:
        validation = {"loss": math.nan, "accuracy": math.nan}
        if self.val_ds is not None:
            validation = self.validator.evaluate(self.val_ds, verbose=0, return_dict=True)
        logs.update({f"val_{name}": value for name, value in validation.items()})  # TensorBoard reads them here
        for split in ("", "val_"):  # of two heads: that of the classes; the loss is that of both
            if f"{split}{CLASSES}_accuracy" in logs:
                logs[f"{split}accuracy"] = logs[f"{split}{CLASSES}_accuracy"]
        return {
            "epoch": epoch + 1,
            "phase": self.phase.name,
            "learning_rate": float(self.model.optimizer.learning_rate),
            **{name: float(logs[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")},
        }


class ReduceOnPlateau(keras.callbacks.Callback):
    """Sets each epoch's learning rate by the validation losses before it in this phase, as the recipe's schedule says.

    `keras.callbacks.ReduceLROnPlateau` keeps its count in memory; this one reads it off the history, so that a
    resumed run goes on with the same rate.
    """

    def __init__(self, phase: Phase, state: RunState, peak: float, patience: int, factor: float):
        super().__init__()
        self.phase, self.state = phase, state
        self.peak, self.patience, self.factor = peak, patience, factor

    def on_epoch_begin(self, epoch, logs=None):
        losses = [row["val_loss"] for row in self.state.history if row["phase"] == self.phase.name]
        self.model.optimizer.learning_rate = plateau_rate(self.peak, losses, self.patience, self.factor)


def should_stop_early(history: list[dict], patience: int | None) -> bool:
    """Whether the last `patience` epochs brought no better validation accuracy.

    Those of the head phase and on small images do not count: what follows them is another kind of training.
    """
    accuracies = [row["val_accuracy"] for row in history if row["phase"] not in (HEAD, SMALL_IMAGES)]
    if patience is None or len(accuracies) <= patience:
        return False
    return max(accuracies[-patience:]) <= max(accuracies[:-patience])


class Progress(keras.callbacks.Callback):
    """A bar with images/s and ETA on a terminal; a line at the end of each epoch everywhere."""

    def __init__(self, steps_per_epoch: int, batch_size: int, total_epochs: int, phase: Phase):
        super().__init__()
        self.steps_per_epoch, self.batch_size = steps_per_epoch, batch_size
        self.total_epochs, self.phase = total_epochs, phase

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()
        self.bar = tqdm(
            total=self.steps_per_epoch * self.batch_size,
            desc=f"epoch {epoch + 1}/{self.total_epochs} {self.phase.name}",
            unit="img",
            leave=False,
            mininterval=0.5,
            disable=not sys.stderr.isatty(),
        )

    def on_train_batch_end(self, batch, logs=None):
        self.images_per_second = (batch + 1) * self.batch_size / (time.perf_counter() - self.started)
        self.bar.update(self.batch_size)

    def on_epoch_end(self, epoch, logs=None):
        self.bar.close()
        left = (self.phase.last_epoch - epoch - 1) * (time.perf_counter() - self.started)
        validation = f"val_loss {logs['val_loss']:.4f}  val_accuracy {logs['val_accuracy']:.4f}  "
        eta = f"{left / 60:.0f} min left in this phase" if left else "end of phase"
        print(
            f"epoch {epoch + 1}/{self.total_epochs} {self.phase.name:9}  "
            f"loss {logs['loss']:.4f}  accuracy {logs['accuracy']:.4f}  "
            f"{'' if math.isnan(logs['val_loss']) else validation}"
            f"{self.images_per_second:.0f} images/s  {eta}",
            flush=True,
        )
