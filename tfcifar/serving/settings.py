"""Every bound and choice of a server, in one place."""

from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Settings:
    """What `python -m tfcifar.serve` was asked for.

    models: its arguments, [NAME=]PATH. threads: of one prediction. max_batch: images that a model gets at once.
    max_delay: seconds that an image may wait for others to make a batch with. max_queue: images that may wait for one
    model. max_requests: in progress in one process. max_body: bytes of a request. max_pixels: of an uploaded image.
    timeout: seconds from the head of a request to its answer. poll: seconds between looks for new versions.
    keys: SHA-256 digests of the API keys; empty: none is asked for.
    """

    models: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    threads: int = 1
    max_batch: int = 32
    max_delay: float = 0.002
    max_queue: int = 256
    max_requests: int = 128
    max_body: int = 16 * MIB
    max_pixels: int = 25_000_000
    timeout: float = 30.0
    poll: float = 2.0
    keys: tuple[bytes, ...] = ()
    metrics_folder: Path | None = None  # where several processes add up their metrics
