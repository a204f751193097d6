"""What Prometheus reads at /metrics. Several processes add up theirs through files in one folder."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from pipelines.processes import is_running

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class ModelMetrics:
    """Those of one version of a model."""

    def __init__(self, images: Histogram, seconds: Histogram, queue: Gauge):
        self.images, self.seconds, self.queue = images, seconds, queue

    def on_batch(self, images: int, seconds: float) -> None:
        self.images.observe(images)
        self.seconds.observe(seconds)

    def on_queue(self, images: int) -> None:
        self.queue.set(images)


class Metrics:
    """The metrics of one process.

    Args:
        folder: shared by all processes of the server (the value of PROMETHEUS_MULTIPROC_DIR, which
            prometheus_client reads when it is imported); None: there is one process.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = folder
        self.registry = CollectorRegistry()
        model = ("model", "version")
        self.requests = Counter(
            "tfcifar_requests", "Requests answered, by route and status", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "tfcifar_request_seconds", "From the head of a request to its answer", ("route",),
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self.in_progress = Gauge(
            "tfcifar_requests_in_progress", "Requests that are being answered",
            registry=self.registry, multiprocess_mode="livesum",
        )  # fmt: skip
        self.batch_images = Histogram(
            "tfcifar_batch_images", "Images of one batch", model, buckets=IMAGES, registry=self.registry
        )
        self.model_seconds = Histogram(
            "tfcifar_model_seconds", "What the model took for one batch", model, buckets=SECONDS, registry=self.registry
        )
        self.queue_images = Gauge(
            "tfcifar_queue_images", "Images that wait for a model", model,
            registry=self.registry, multiprocess_mode="livesum",
        )  # fmt: skip

    def of_model(self, name: str, version: int) -> ModelMetrics:
        labels = (name, str(version))
        return ModelMetrics(
            self.batch_images.labels(*labels), self.model_seconds.labels(*labels), self.queue_images.labels(*labels)
        )

    def text(self) -> bytes:
        """All metrics in Prometheus' text format, of all processes."""
        if self.folder is None:
            return generate_latest(self.registry)
        for path in self.folder.glob("gauge_live*.db"):
            if not is_running(int(path.stem.rpartition("_")[2])):  # killed: what it was busy with no longer counts
                path.unlink(missing_ok=True)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, self.folder)
        return generate_latest(registry)
