"""What a run computes on: one device, all of a machine, several machines, or a TPU."""

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import InputError, check, first_line, unknown
from pipelines.sharding import WHOLE, Shares
from tfcifar.run_dir import RunDir

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from tfcifar.training.trainable import TrainableModel

STRATEGIES = ("none", "auto", "mirrored", "multi_worker", "tpu")
TF_CONFIG = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
TPU_VARIABLES = ("TPU_NAME", "TPU_WORKER_HOSTNAMES")  # at least one is set where there is a TPU


@dataclass(frozen=True)
class Devices:
    """Those that share each batch of a run.

    strategy: of `tf.distribute`; None: one device, without any.
    shares: the parts of a batch that this process reads.
    worker, workers: this process' number among those that train one model, and how many they are.
    """

    strategy: Any = None
    shares: Shares = WHOLE
    worker: int = 0
    workers: int = 1

    @property
    def chief(self) -> bool:
        """Whether this process writes the run directory; the others leave nothing behind."""
        return self.worker == 0

    @property
    def model_class(self) -> "type[TrainableModel]":
        """The `TrainableModel` that these devices train."""
        from tfcifar.training.distributed import DistributedModel
        from tfcifar.training.trainable import TrainableModel

        return TrainableModel if self.strategy is None else DistributedModel

    def scope(self) -> AbstractContextManager:
        """In which models, averages, optimizers and metrics are made."""
        return nullcontext() if self.strategy is None else self.strategy.scope()

    def distributed(self, make_dataset: Callable) -> "tf.data.Dataset":
        """The dataset made by `make_dataset(shares=...)`, as `fit` and `evaluate` take it."""
        if self.strategy is None:
            return make_dataset()
        return self.strategy.distribute_datasets_from_function(lambda _: make_dataset(shares=self.shares))

    def own_run_dir(self, run_dir: RunDir, resume: bool) -> RunDir:
        """Where this process writes: the chief to `run_dir`, any other to a folder that goes when the process ends.

        So that all do the same, and one writes. The others begin with a copy of the chief's checkpoints.
        """
        if self.chief:
            return run_dir
        folder = tempfile.mkdtemp(prefix=f"{run_dir.name}-worker{self.worker}-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        own = RunDir(Path(folder) / run_dir.name)
        if resume and run_dir.checkpoints.is_dir():
            shutil.copytree(run_dir.checkpoints, own.checkpoints)
        return own

    def wait(self) -> None:
        """Until all workers are here: one that ends takes the others' connection with it."""
        self.agree({"step": "all"})

    def agree(self, values: dict) -> None:
        """Wait for all workers. Raises InputError in each of them, naming it, where they differ in one of `values`."""
        if self.workers == 1:
            return
        digests = [int.from_bytes(hashlib.sha256(repr(value).encode()).digest()[:3]) for value in values.values()]
        for name, found in zip(values, self._gathered(digests).T, strict=True):
            if len(set(found)) > 1:
                own = f", received {values[name]} on worker {self.worker}" if isinstance(values[name], int) else ""
                raise InputError(
                    f"multi_worker: expected the same {name} on all workers{own}, and found another elsewhere. All "
                    "take the same options, data, and --run-dir on a file system that all of them see."
                )

    def _gathered(self, numbers: list[int]) -> "np.ndarray":
        """int64 [workers, len(numbers)]: what each worker gave."""
        import tensorflow as tf

        rows = [numbers if worker == self.worker else [0] * len(numbers) for worker in range(self.workers)]

        def add_up():
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(rows))

        summed = tf.function(lambda: self.strategy.run(add_up), autograph=False)()
        devices_of_each = self.shares.last - self.shares.first  # which all give the same
        return self.strategy.experimental_local_results(summed)[0].numpy() // devices_of_each

    @contextmanager
    def losses_of_workers(self) -> Iterator[None]:
        """Turn what TensorFlow says when another worker has gone into one clear error."""
        import tensorflow as tf

        gone = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)
        try:
            yield
        except gone as error:
            if self.workers == 1:
                raise
            reason = _first_that_says_something(str(error))
            raise InputError(
                f"multi_worker: worker {self.worker} has lost another one ({reason}). "
                "Start all workers again with --resume: they go on from the last whole epoch."
            ) from None

    def check(self, policy: str) -> None:
        """Raises InputError where `policy`, a Keras dtype policy, is one that devices cannot share."""
        check(
            self.strategy is None or policy != "mixed_float16",
            "mixed_precision",
            "float32 or mixed_bfloat16 with --strategy (of float16's gradients each device would skip others)",
            policy,
        )

    def describe(self) -> dict:
        """JSON-ready, for environment.json; nothing of one device."""
        if self.strategy is None:
            return {}
        kind = type(self.strategy).__name__
        return {"devices": {"strategy": kind, "devices": self.shares.count, "workers": self.workers}}


ONE = Devices()


def _first_that_says_something(message: str) -> str:
    """Of the lines of a TensorFlow error, without its place in the graph."""
    noise = ("Graph execution error", "Detected at", "<stack traces", "File ", "[[")
    lines = [line.strip().rpartition("}} ")[2] for line in message.splitlines()]
    return next((line for line in lines if line and not line.startswith(noise)), lines[0])[:200]


def check_one_machine(name: str, command: str) -> None:
    """Raises InputError where the strategy `name` is of several machines."""
    check(name != "multi_worker", "--strategy", f"none, auto, mirrored or tpu: {command}", name)


def open_devices(name: str, environment: Mapping[str, str] | None = None) -> Devices:
    """The devices that `name`, one of STRATEGIES, stands for.

    To be called once in a process, before TensorFlow computes anything: what a second strategy's devices exchange
    would be taken for the first one's.

    auto: several machines where TF_CONFIG names them, a TPU where there is one, all GPUs where there are several,
    else one device. multi_worker waits until all workers are there.

    Raises:
        InputError: `name` is unknown, or what it takes is missing.
    """
    environment = os.environ if environment is None else environment
    if name not in STRATEGIES:
        raise unknown("--strategy", name, STRATEGIES)
    if name == "none":
        return ONE
    import tensorflow as tf

    if name == "auto":
        name = _choose(environment, len(tf.config.list_physical_devices("GPU")))
        return open_devices(name, environment)
    if name == "multi_worker":
        return _multi_worker(environment)
    if name == "tpu":
        return _tpu()
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"  # several of the latter only where asked for
    strategy = tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices(kind)])
    count = strategy.num_replicas_in_sync
    return Devices(strategy, Shares(0, count, count))


def _choose(environment: Mapping[str, str], gpus: int) -> str:
    if len(_workers(environment)) > 1:
        return "multi_worker"
    if any(environment.get(name) for name in TPU_VARIABLES):
        return "tpu"
    return "mirrored" if gpus > 1 else "none"


def _workers(environment: Mapping[str, str]) -> list[str]:
    """The addresses of all workers in TF_CONFIG, the chief's first; empty without it."""
    text = environment.get("TF_CONFIG")
    if not text:
        return []
    try:
        cluster = json.loads(text)["cluster"]
        addresses = [*cluster.get("chief", []), *cluster["worker"]]
        if set(cluster) - {"chief", "worker"}:
            raise ValueError(f"unknown tasks {', '.join(sorted(set(cluster) - {'chief', 'worker'}))}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"TF_CONFIG: expected JSON such as {TF_CONFIG}, received {text!r} ({error}).") from None
    return addresses


def _multi_worker(environment: Mapping[str, str]) -> Devices:
    import tensorflow as tf

    addresses = _workers(environment)
    if not addresses:
        raise InputError(f"--strategy multi_worker: expected the environment variable TF_CONFIG, such as {TF_CONFIG}.")
    task = json.loads(environment["TF_CONFIG"]).get("task", {})
    kind, index = task.get("type"), task.get("index")
    chiefs = len(json.loads(environment["TF_CONFIG"])["cluster"].get("chief", []))
    worker = index + (chiefs if kind == "worker" else 0) if isinstance(index, int) else -1
    if kind not in ("chief", "worker") or not 0 <= worker < len(addresses):
        raise InputError(
            f"TF_CONFIG: expected a task of the cluster, such as {TF_CONFIG}, received the task {json.dumps(task)}."
        )
    if len(addresses) > 1:
        print(f"multi_worker: worker {worker} of {len(addresses)}, waiting for the others", flush=True)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    count = strategy.num_replicas_in_sync
    local = count // len(addresses)
    return Devices(strategy, Shares(worker * local, (worker + 1) * local, count), worker, len(addresses))


def _tpu() -> Devices:
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(os.environ.get("TPU_NAME", "local"))
        strategy = tf.distribute.TPUStrategy(resolver)
    except (ValueError, tf.errors.OpError, RuntimeError) as error:
        raise InputError(
            f"--strategy tpu: expected a TPU and the package tensorflow-tpu, found none ({first_line(error)})."
        ) from None
    count = strategy.num_replicas_in_sync
    return Devices(strategy, Shares(0, count, count))
