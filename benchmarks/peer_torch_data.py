"""The PyTorch peers of `benchmarks.data_pipeline`: map-style Datasets that augment image by image, and DataLoaders.

Needs `pip install torch`, and nothing else of PyTorch's world. Two Datasets do the same operations:

- AugmentedImages, the usual one: what torchvision's transforms do to a tensor, written out (to float, pad, crop at
  `torch.randint`, flip on `torch.rand`).
- TunedImages, what a specialist might write: images padded once before the clock starts, NumPy slices of bytes until
  the last step, and Python's `random`, which is faster for single numbers.
"""

import functools
import math
import random
from dataclasses import fields

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch.utils.data import DataLoader, Dataset, default_collate

from pipelines.augment_config import Augment

HAS_EQUIVALENT = {
    "flip",
    "crop_padding",
    "cutout_size",
    "erasing_probability",
    "mixup_alpha",
    "cutmix_alpha",
    "label_smoothing",
}
GRAY = 127.5  # what Cutout paints, as in pipelines.augment_erase


def has_equivalent(augment: Augment) -> bool:
    """Whether all that `augment` asks for exists here; RandAugment and AugMix, without torchvision, do not."""
    defaults = Augment()
    asked = {
        field.name
        for field in fields(Augment)
        if getattr(augment, field.name) != getattr(defaults, field.name)
        and (field.name != "randaugment_magnitude" or augment.randaugment_layers)
    }
    return asked <= HAS_EQUIVALENT


class AugmentedImages(Dataset):
    """Item i: (image float32 [3, h, w] in 0..255, label float32 [num_classes]), augmented anew at each access.

    images: uint8 [n, h, w, 3]. labels: int64 [n]. `augment`: one for which `has_equivalent` is true.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, num_classes: int, augment: Augment):
        self.images = torch.from_numpy(images)
        self.augment = augment
        smoothing = augment.label_smoothing
        self.labels = (torch.eye(num_classes) * (1 - smoothing) + smoothing / num_classes)[torch.from_numpy(labels)]
        self.flipped_first = np.random.default_rng(0).random(len(images)) < 0.5
        # In shared memory: workers that live on between epochs hold copies of everything else.
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        image = self.crop_and_flip(index)
        probability = self.augment.erasing_probability
        if probability and random.random() < probability:
            erase(image)
        if self.augment.cutout_size:
            cutout(image, self.augment.cutout_size)
        return torch.as_tensor(image), self.labels[index]

    def crop_and_flip(self, index: int):
        image = self.images[index].permute(2, 0, 1).float()
        padding = self.augment.crop_padding
        if padding:
            _, height, width = image.shape
            padded = F.pad(image, [padding] * 4, mode="reflect")
            top, left = (torch.randint(0, 2 * padding + 1, (1,)).item() for _ in range(2))
            image = padded[:, top : top + height, left : left + width]
        flips = self.augment.flip == "random" and torch.rand(1).item() < 0.5
        return image.flip(-1) if flips or self.alternates(index) else image

    def alternates(self, index: int) -> bool:
        alternating = self.augment.flip == "alternating"
        return alternating and bool(self.flipped_first[index]) ^ bool(self.epoch.item() & 1)


class TunedImages(AugmentedImages):
    """The same items, faster."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, num_classes: int, augment: Augment):
        super().__init__(images, labels, num_classes, augment)
        self.height, self.width = images.shape[1:3]
        border = (augment.crop_padding, augment.crop_padding)
        self.padded = np.pad(images.transpose(0, 3, 1, 2), [(0, 0), (0, 0), border, border], "reflect")

    def crop_and_flip(self, index: int):
        choices = 2 * self.augment.crop_padding + 1
        top, left = int(random.random() * choices), int(random.random() * choices)
        image = self.padded[index, :, top : top + self.height, left : left + self.width]
        flips = self.augment.flip == "random" and random.random() < 0.5
        if flips or self.alternates(index):
            image = image[:, :, ::-1]
        return image.astype(np.float32, order="C")


def cutout(image, size: int) -> None:
    """Paints a square gray, in place: float32 [c, h, w], array or tensor; the border may cut it."""
    _, height, width = image.shape
    top, left = random.randrange(height) - size // 2, random.randrange(width) - size // 2
    image[:, max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = GRAY


def erase(image, area=(0.02, 0.4), aspect=(0.3, 1 / 0.3)) -> None:
    """Fills a rectangle with noise, in place, like `cutout`; draws again until it fits, as torchvision does."""
    channels, height, width = image.shape
    for _ in range(10):
        pixels = random.uniform(*area) * height * width
        ratio = math.exp(random.uniform(math.log(aspect[0]), math.log(aspect[1])))
        rows, columns = max(1, round(math.sqrt(pixels * ratio))), max(1, round(math.sqrt(pixels / ratio)))
        if rows < height and columns < width:
            top, left = random.randint(0, height - rows), random.randint(0, width - columns)
            noise = torch.empty(channels, rows, columns).uniform_(0, 255)
            image[:, top : top + rows, left : left + columns] = noise
            return


def collate_and_mix(items, augment: Augment):
    """Mixup or CutMix after the default collate, one share for the whole batch, as torchvision's guide shows it."""
    images, labels = default_collate(items)
    _, _, height, width = images.shape
    others = images.roll(1, 0)
    if augment.mixup_alpha:
        share = random.betavariate(augment.mixup_alpha, augment.mixup_alpha)
        images = images.mul_(share).add_(others.mul_(1 - share))
    else:
        side = math.sqrt(random.betavariate(augment.cutmix_alpha, augment.cutmix_alpha))
        rows, columns = round(side * height), round(side * width)
        top, left = random.randrange(height) - rows // 2, random.randrange(width) - columns // 2
        vertical, horizontal = slice(max(top, 0), max(top + rows, 0)), slice(max(left, 0), max(left + columns, 0))
        box = others[:, :, vertical, horizontal]
        images[:, :, vertical, horizontal] = box
        share = 1 - box[0, 0].numel() / (height * width)
    return images, labels * share + labels.roll(1, 0) * (1 - share)


def make_loader(dataset: AugmentedImages, batch_size: int, num_workers: int) -> DataLoader:
    """Shuffled full batches (images float32 [b, 3, h, w], labels float32 [b, num_classes]), one epoch per iteration."""
    augment = dataset.augment
    mixes = augment.mixup_alpha or augment.cutmix_alpha
    return DataLoader(
        dataset,
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        collate_fn=functools.partial(collate_and_mix, augment=augment) if mixes else None,
    )
