"""Batches of images: every image once in order, or some classes with some images of each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.data.image_files import (
    CACHE_BYTES,
    ByClass,
    ImageReader,
    Preprocess,
    image_items,
)
from stayfinite.networks.data.images import Size
from stayfinite.networks.data.items import Items, Problem
from stayfinite.networks.data.seeded import SeededDataset


class ImageBatches(keras.utils.PyDataset):
    """Every image of a data set once, in its order, with its label, in batches.

    Args:
        source: A folder with one sub-folder a class, or a CSV list of `path` and `label`, which are
            checked for files that cannot be used; or `Items`.
        size: Side of the images in pixels, or `(height, width)`.
        batch_size: Images in a batch; the last batch has the rest.
        fit: `"crop"` or `"stretch"`.
        preprocess: A function of a batch of float32 images from 0 to 255, which it may change in
            place, such as `stayfinite.models.preprocess_input("ResNet50")`.
        cache_bytes: Memory for decoded images, useful for repeated passes over the data.
        workers: As of `keras.utils.PyDataset`, with `use_multiprocessing` and `max_queue_size`.

    Example:

    >>> images = stayfinite.data.ImageBatches("images", size=64)
    >>> vectors = embedding.predict(images)
    >>> stayfinite.metrics.recall_at_k(vectors, images.labels)
    {1: 0.93, 5: 0.98}
    """

    def __init__(
        self,
        source: Items | str | Path,
        size: Size = 224,
        batch_size: int = 32,
        *,
        fit: str = "crop",
        preprocess: Preprocess | None = None,
        cache_bytes: int = 0,
        **workers: Any,
    ) -> None:
        super().__init__(**workers)
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be 1 or more. Received: batch_size={batch_size}")
        self._reader = ImageReader(size, fit, preprocess, cache_bytes)
        self.items = image_items(source)
        self.batch_size = batch_size

    @property
    def labels(self) -> np.ndarray:
        """The label of each image, int64 of shape `(number of images,)`."""
        return self.items.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.items.classes

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files that are not used, with the reason."""
        return self.items.problems

    def __len__(self) -> int:
        return math.ceil(len(self.items) / self.batch_size)

    def __getitem__(self, batch_index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows(batch_index)
        return self._reader.batch(self.files_of(batch_index)), self.labels[rows].astype("int32")

    def files_of(self, batch_index: int) -> list[Path]:
        """Return the file of each sample of a batch."""
        return [item.path for item in self.items.items[self._rows(batch_index)]]

    def _rows(self, batch_index: int) -> slice:
        if not 0 <= batch_index < len(self):
            raise IndexError(f"expected a batch from 0 to {len(self) - 1}; received {batch_index}")
        return slice(batch_index * self.batch_size, (batch_index + 1) * self.batch_size)


class ClassBatches(SeededDataset):
    """Batches of `num_classes` classes with `num_images` images each, and their labels.

    For losses that mine their triplets in a batch. Classes are drawn without regard to their size,
    and every class is drawn before one is drawn again; the same holds for the images of a class. An
    image is repeated in a batch only if its class has fewer than `num_images`. All draws depend on
    the seed and the epoch only, not on the number of workers.

    Source: A. Hermans, L. Beyer, B. Leibe, "In Defense of the Triplet Loss for Person
    Re-Identification", 2017.

    Args:
        source: A folder with one sub-folder a class, or a CSV list of `path` and `label`, which are
            checked for files that cannot be used; or `Items`.
        size: Side of the images in pixels, or `(height, width)`.
        num_classes: Classes in a batch, 2 or more.
        num_images: Images of each class in a batch, 2 or more.
        fit: `"crop"` or `"stretch"`.
        preprocess: A function of a batch of float32 images from 0 to 255, which it may change in
            place, such as `stayfinite.models.preprocess_input("ResNet50")`.
        flip: Whether half of the images are mirrored.
        batches_per_epoch: By default as many as the images fill, at least one.
        seed: Seed of all draws.
        same_every_epoch: Whether every epoch has the same batches, as for a validation.
        cache_bytes: Memory for decoded images; with 0 every image is decoded each time.
        workers: As of `keras.utils.PyDataset`, with `use_multiprocessing` and `max_queue_size`.

    Attributes:
        items: The images.
        classes: Names of their classes; a label is an index into it.
        problems: Files that are not used, with the reason. The only image of a class is not used.

    Raises:
        UsageError: If fewer than `num_classes` classes have two images.
        ValueError: If an argument is out of range.

    Example:

    >>> batches = stayfinite.data.ClassBatches("images", size=64, num_classes=8, num_images=4)
    >>> images, labels = batches[0]
    >>> images.shape, labels.shape
    ((32, 64, 64, 3), (32,))
    """

    def __init__(
        self,
        source: Items | str | Path,
        size: Size = 224,
        num_classes: int = 8,
        num_images: int = 4,
        *,
        fit: str = "crop",
        preprocess: Preprocess | None = None,
        flip: bool = False,
        batches_per_epoch: int | None = None,
        seed: int = 0,
        same_every_epoch: bool = False,
        cache_bytes: int = CACHE_BYTES,
        **workers: Any,
    ) -> None:
        super().__init__(seed, same_every_epoch, **workers)
        if num_classes < 2 or num_images < 2:
            raise ValueError(
                "`num_classes` and `num_images` must be 2 or more. Received: "
                f"num_classes={num_classes}, num_images={num_images}"
            )
        if batches_per_epoch is not None and batches_per_epoch < 1:
            raise ValueError(
                "`batches_per_epoch` must be 1 or more. Received: "
                f"batches_per_epoch={batches_per_epoch}"
            )
        self._reader = ImageReader(size, fit, preprocess, cache_bytes)
        self.items = _without_lone(image_items(source))
        self._files = ByClass.of(self.items)
        self._able = np.flatnonzero(self._files.count)
        if len(self._able) < num_classes:
            raise UsageError(
                f"expected {num_classes} classes with at least two images; received "
                f"{len(self._able)}: pass num_classes={max(2, len(self._able))} or add images"
            )
        self.num_classes = num_classes
        self.num_images = num_images
        self.flip = flip
        fills = len(self.items) // (num_classes * num_images)
        self.batches_per_epoch = batches_per_epoch or max(1, fills)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.items.classes

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files that are not used, with the reason."""
        return self.items.problems

    def __len__(self) -> int:
        return self.batches_per_epoch

    def __getitem__(self, batch_index: int) -> tuple[np.ndarray, np.ndarray]:
        places = self._batch(batch_index)
        mirrored = self._mirrored(batch_index, len(places)) if self.flip else None
        images = self._reader.batch([self._files.paths[n] for n in places], mirrored)
        return images, self._files.labels[places].astype("int32")

    def files_of(self, batch_index: int) -> list[Path]:
        """Return the file of each sample of a batch of this epoch."""
        return [self._files.paths[n] for n in self._batch(batch_index)]

    def _batch(self, batch_index: int) -> np.ndarray:
        found: np.ndarray = self._of_epoch()[self._checked_index(batch_index)]
        return found

    def _drawn(self) -> np.ndarray:
        """Draw the indices into `_files` of all batches, `(batches, classes * images)`."""
        random, files = self._random(0), self._files
        classes = _Deck(self._able, random)
        images = {
            label: _Deck(files.start[label] + np.arange(files.count[label]), random)
            for label in self._able.tolist()
        }
        return np.array(
            [
                [n for label in classes.draw(self.num_classes) for n in images[label].draw(each)]
                for each in [self.num_images] * self.batches_per_epoch
            ]
        )


def _without_lone(items: Items) -> Items:
    reason = "it is the only image of its class, so it is left out"
    return items.without(Problem(path, reason) for path in ByClass.of(items).lone())


class _Deck:
    """Draws elements in random order; every element is drawn before one is drawn again."""

    def __init__(self, cards: np.ndarray, random: np.random.Generator) -> None:
        self._cards = cards
        self._random = random
        self._left: list[int] = []

    def draw(self, count: int) -> list[int]:
        """Draw `count` elements, distinct as far as there are enough."""
        hand: list[int] = []
        while len(hand) < count:
            hand += self._distinct(min(count - len(hand), len(self._cards)))
        return hand

    def _distinct(self, count: int) -> list[int]:
        hand, self._left = self._left[:count], self._left[count:]
        if len(hand) < count:
            deck = self._random.permutation(self._cards).tolist()
            held = set(hand)
            hand += [card for card in deck if card not in held][: count - len(hand)]
            # Elements of the old deck that were drawn just now stay in the new one.
            fresh = set(hand) - held
            self._left = [card for card in deck if card not in fresh]
        return hand
