"""Requests that arrive together share one call of the model: a bounded queue and one worker thread."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tfcifar.serving.errors import RequestError, busy

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Waiting:
    """The images of one request, and where their logits go."""

    images: np.ndarray
    answer: asyncio.Future
    arrived: float


class Batcher:
    """Gives a model what is waiting for it, up to `max_batch` images at a time, in the order of arrival.

    How long a batch waits to become larger adapts itself: until it is as large as the last one was, at most
    `max_delay`. A lone caller, whose last batch was of one image, never waits; under load batches grow by what
    arrives while the model is busy.

    Args:
        run: uint8 [n, h, w, 3] -> float32 [n, k]; called by one thread only.
        max_batch: images. A request of more than these goes through alone, in parts.
        max_delay: seconds.
        max_queue: images that may wait; beyond, requests are refused with 429.
        on_batch: called with the images of a batch and the seconds that the model took.
        on_queue: called with the number of images that wait, whenever it has changed.
    """

    def __init__(
        self,
        run: Callable[[np.ndarray], np.ndarray],
        max_batch: int,
        max_delay: float,
        max_queue: int,
        on_batch: Callable[[int, float], None] = lambda images, seconds: None,
        on_queue: Callable[[int], None] = lambda images: None,
    ):
        self.run, self.max_batch, self.max_delay, self.max_queue = run, max_batch, max_delay, max_queue
        self.on_batch, self.on_queue = on_batch, on_queue
        self.queue: deque[Waiting] = deque()
        self.queued = 0  # images
        self.wanted = 1  # images: the worker sleeps while there are fewer
        self.last_batch = 1  # images
        self.seconds_per_image = 0.0  # a running mean
        self.closed = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def submit(self, images: np.ndarray) -> asyncio.Future:
        """Queue a request; to be called in the event loop. The future's result is float32 [n, k].

        Raises:
            RequestError: 429 where the queue is full, 503 after `close`.
        """
        waiting = Waiting(images, asyncio.get_running_loop().create_future(), time.monotonic())
        with self.changed:
            if self.closed:
                raise RequestError(503, "the model is being unloaded; try again.", {"Retry-After": "1"})
            if self.queued + len(images) > self.max_queue:
                raise busy(
                    f"the model's queue is full ({self.queued} of {self.max_queue} images); try again later.",
                    self.queued * self.seconds_per_image,
                )
            self.queue.append(waiting)
            self.queued += len(images)
            self.on_queue(self.queued)
            if self.queued >= self.wanted:  # waking the worker for every arrival would cost both threads time
                self.changed.notify()
        return waiting.answer

    def close(self) -> None:
        """Accept nothing more; the worker answers what is queued and ends. Does not wait for it."""
        with self.changed:
            self.closed = True
            self.changed.notify()

    def join(self, timeout: float | None = None) -> None:
        self.thread.join(timeout)

    def _work(self) -> None:
        while batch := self._next_batch():
            # A caller who has given up (timeout) costs no time of the model.
            batch = [waiting for waiting in batch if not waiting.answer.cancelled()]
            if batch:
                self._answer(batch)

    def _next_batch(self) -> list[Waiting]:
        """The next requests for one call of the model; empty once closed and drained."""
        with self.changed:
            self.wanted = 1
            while not self.queue and not self.closed:
                self.changed.wait()
            if not self.queue:
                return []
            self.wanted = min(self.last_batch, self.max_batch)
            deadline = self.queue[0].arrived + self.max_delay
            while self.queued < self.wanted and not self.closed:
                seconds = deadline - time.monotonic()
                if seconds <= 0:
                    break
                self.changed.wait(seconds)
            batch: list[Waiting] = []
            images = 0
            while self.queue and (not batch or images + len(self.queue[0].images) <= self.max_batch):
                waiting = self.queue.popleft()
                batch.append(waiting)
                images += len(waiting.images)
            self.queued -= images
            self.last_batch = images
            self.on_queue(self.queued)
            return batch

    def _answer(self, batch: list[Waiting]) -> None:
        images = batch[0].images if len(batch) == 1 else np.concatenate([waiting.images for waiting in batch])
        started = time.perf_counter()
        try:
            parts = [self.run(images[at : at + self.max_batch]) for at in range(0, len(images), self.max_batch)]
            logits = parts[0] if len(parts) == 1 else np.concatenate(parts)
        except Exception:  # the server goes on whatever a model does
            logger.exception("a model failed on a batch")
            logits = None
        seconds = time.perf_counter() - started
        self.seconds_per_image += 0.1 * (seconds / len(images) - self.seconds_per_image)
        self.on_batch(len(images), seconds)
        try:
            batch[0].answer.get_loop().call_soon_threadsafe(_deliver, batch, logits)
        except RuntimeError:  # the loop has ended: nobody is left to be answered
            logger.warning("a batch of %d images was finished after the server had stopped", len(images))


def _deliver(batch: list[Waiting], logits: np.ndarray | None) -> None:
    at = 0
    for waiting in batch:
        end = at + len(waiting.images)
        if waiting.answer.done():
            pass  # cancelled meanwhile
        elif logits is None:
            waiting.answer.set_exception(RequestError(500, "the model failed."))
        else:
            waiting.answer.set_result(logits[at:end])
        at = end
