"""Triplets of images: an anchor, another image of its class, and one of another class."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

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


class TripletDataset(SeededDataset):
    """Random triplets of images, drawn anew in each epoch, for `stayfinite.models.TripletNetwork`.

    Every image whose class has another image is an anchor once, in random order, before one is an
    anchor again. The positive is drawn uniformly from the other images of the class, and the
    negative from the images of the other classes. All draws depend on the seed and the epoch only,
    not on the number of workers.

    Args:
        source: A folder with one sub-folder a class, or a CSV list of `path` and `label`, which are
            checked for files that cannot be used; or `Items`.
        size: Side of the images in pixels, or `(height, width)`.
        batch_size: Triplets in a batch; the last batch of an epoch has the rest.
        fit: `"crop"` or `"stretch"`.
        preprocess: A function of a batch of float32 images from 0 to 255, which it may change in
            place, such as `stayfinite.models.preprocess_input("ResNet50")`.
        flip: Whether each image is mirrored with probability 1/2.
        num_triplets: Triplets in an epoch; by default one for each possible anchor.
        seed: Seed of all draws.
        same_every_epoch: Whether every epoch has the same triplets, as for a validation.
        cache_bytes: Memory for decoded images; with 0 every image is decoded each time.
        workers: As of `keras.utils.PyDataset`, with `use_multiprocessing` and `max_queue_size`.

    Attributes:
        items: The images.
        classes: Names of their classes.
        problems: Files that are not used, or not as an anchor, with the reason.

    Raises:
        UsageError: If fewer than two classes have images, or no class has two images.
        ValueError: If an argument is out of range.

    Example:

    >>> triplets = stayfinite.data.TripletDataset("images", size=64, batch_size=16)
    >>> (anchors, positives, negatives), zeros = triplets[0]
    >>> network.fit(triplets, epochs=5)
    """

    def __init__(
        self,
        source: Items | str | Path,
        size: Size = 224,
        batch_size: int = 32,
        *,
        fit: str = "crop",
        preprocess: Preprocess | None = None,
        flip: bool = False,
        num_triplets: int | None = None,
        seed: int = 0,
        same_every_epoch: bool = False,
        cache_bytes: int = CACHE_BYTES,
        **workers: Any,
    ) -> None:
        super().__init__(seed, same_every_epoch, **workers)
        if batch_size < 1 or (num_triplets is not None and num_triplets < 1):
            raise ValueError(
                "`batch_size` and `num_triplets` must be 1 or more. Received: "
                f"batch_size={batch_size}, num_triplets={num_triplets}"
            )
        self._reader = ImageReader(size, fit, preprocess, cache_bytes)
        self.items = image_items(source)
        self._files = ByClass.of(self.items)
        self._check_classes()
        self._able = np.flatnonzero(self._files.count[self._files.labels] > 1)
        self.num_triplets = num_triplets or len(self._able)
        self.batch_size = batch_size
        self.flip = flip

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.items.classes

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files that are not used, or not as an anchor, with the reason."""
        reason = "it is the only image of its class, so it is never an anchor"
        return self.items.problems + tuple(Problem(path, reason) for path in self._files.lone())

    def __len__(self) -> int:
        return math.ceil(self.num_triplets / self.batch_size)

    def __getitem__(
        self, batch_index: int
    ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
        rows = self.files_of(batch_index)
        paths = [row[part] for part in range(3) for row in rows]
        mirrored = self._mirrored(batch_index, len(paths)) if self.flip else None
        images = self._reader.batch(paths, mirrored)
        anchors, positives, negatives = np.split(images, 3)
        return (anchors, positives, negatives), np.zeros((len(rows), 1), "float32")

    def files_of(self, batch_index: int) -> list[tuple[Path, Path, Path]]:
        """Return the files of anchor, positive and negative of each sample of a batch."""
        begin = self._checked_index(batch_index) * self.batch_size
        rows = self._of_epoch()[begin : begin + self.batch_size]
        paths = self._files.paths
        return [(paths[anchor], paths[near], paths[far]) for anchor, near, far in rows]

    def _check_classes(self) -> None:
        count = self._files.count
        if np.count_nonzero(count) < 2 or count.max() < 2:
            raise UsageError(
                "expected images of at least two classes, and two images in one of them; received "
                f"{dict(zip(self.classes, count.tolist(), strict=True))}, with "
                f"{len(self.items.problems)} files left out"
            )

    def _drawn(self) -> np.ndarray:
        """Draw the indices into `_files` of all triplets of the epoch, `(num_triplets, 3)`."""
        random, files = self._random(0), self._files
        rounds = math.ceil(self.num_triplets / len(self._able))
        anchors = np.concatenate([random.permutation(self._able) for _ in range(rounds)])
        anchors = anchors[: self.num_triplets]
        start, count = (each[files.labels[anchors]] for each in (files.start, files.count))
        # An offset of 1 to count - 1 within the class never leads back to the anchor.
        positives = start + (anchors - start + random.integers(1, count)) % count
        others = random.integers(0, len(files.paths) - count)
        negatives = np.where(others < start, others, others + count)
        return np.stack([anchors, positives, negatives], axis=1)
