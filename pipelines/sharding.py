"""Which part of each batch a worker reads: equal parts that together are the batch, on however many devices."""

from dataclasses import dataclass
from typing import Any

from pipelines.errors import check


@dataclass(frozen=True)
class Shares:
    """The parts [first, last) of `count` equal parts of every batch: those of one worker's devices.

    A batch is what it is on one device, in the same order. Each worker reads the images of its own parts and no
    others, by their numbers: all workers together read every image of an epoch once. (MixUp and CutMix pair an image
    with the one before it in the batch, so that each part then also reads the last image of the part before.)
    """

    first: int
    last: int
    count: int

    def rows_of_each(self, batch_size: int) -> int:
        """Images in a part of a batch.

        Raises:
            InputError: the batch cannot be divided into equal parts.
        """
        check(
            batch_size % self.count == 0,
            "batch_size",
            f"a multiple of {self.count}, the devices that share each batch",
            batch_size,
        )
        return batch_size // self.count

    def bounds(self, part: Any, total: int) -> tuple:
        """The rows [start, stop) of `total` that are the part numbered `part`; sizes differ by one at most."""
        return total * part // self.count, total * (part + 1) // self.count


WHOLE = Shares(0, 1, 1)
