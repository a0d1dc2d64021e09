"""All images of a data set once, in its order, to be embedded or judged."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np

from stayfinite.networks.data.image_items import image_items
from stayfinite.networks.data.image_reader import ImageReader, Preprocess
from stayfinite.networks.data.images import Size
from stayfinite.networks.data.items import Items, Problem


class ImageBatches(keras.utils.PyDataset):
    """Every image of a data set once, in its order, with its label, in batches.

    Args:
        source: A folder with one sub-folder a class, or a CSV list of `path` and `label`, which are
            looked through for files that cannot be used; or `Items`.
        size: Side of the images in pixels, or `(height, width)`.
        batch_size: Images a batch; the last batch has what is left.
        fit: `"crop"` or `"stretch"`.
        preprocess: A function of a batch of float32 images from 0 to 255, which it may change in
            place, such as `stayfinite.models.preprocess_input("ResNet50")`.
        cache_bytes: Memory for decoded images, of use where the set is gone through repeatedly.
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
        """Names of the classes."""
        return self.items.classes

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files that are not used, and why."""
        return self.items.problems

    def __len__(self) -> int:
        return math.ceil(len(self.items) / self.batch_size)

    def __getitem__(self, batch_index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._rows(batch_index)
        return self._reader.batch(self.files_of(batch_index)), self.labels[rows].astype("int32")

    def files_of(self, batch_index: int) -> list[Path]:
        """The file of each row of a batch."""
        return [item.path for item in self.items.items[self._rows(batch_index)]]

    def _rows(self, batch_index: int) -> slice:
        if not 0 <= batch_index < len(self):
            raise IndexError(f"expected a batch from 0 to {len(self) - 1}; received {batch_index}")
        return slice(batch_index * self.batch_size, (batch_index + 1) * self.batch_size)
