"""The image files of a data set: each file once, sorted by class, and read into batches."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.data.images import (
    FITS,
    SUFFIXES,
    Size,
    height_and_width,
    inspect_images,
    read_image,
)
from stayfinite.networks.data.items import Item, Items, Problem, read_items


def image_items(source: Items | str | Path) -> Items:
    """List the images of a folder or a CSV list, each file once.

    Every image is decoded, to find those that cannot be used.

    Args:
        source: As in `read_items`; or `Items`, whose files are not decoded.

    Returns:
        The items. A file listed twice is used once, and a file in two classes is not used, because
        it would be a positive or negative of itself. Both are named in `problems`.

    Raises:
        UsageError: If no image is left, or as `read_items`.
    """
    if not isinstance(source, Items):
        source = inspect_images(read_items(source, SUFFIXES))
    items = _each_once(source)
    if not items.items:
        reasons = "; ".join(str(problem) for problem in items.problems[:3])
        raise UsageError(f"expected images; none can be used: {reasons or 'there is none'}")
    return items


def _each_once(items: Items) -> Items:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items.items:
        found[os.path.abspath(item.path)].append(item)  # noqa: PTH100 - Path has no pure form of it
    kept: list[Item] = []
    problems: list[Problem] = []
    for first, *others in found.values():
        names = sorted({items.classes[item.label] for item in (first, *others)})
        if len(names) > 1:
            problems.append(Problem(first.path, f"it is in {len(names)} classes: {names}"))
            continue
        kept.append(first)
        if others:
            problems.append(Problem(first.path, "it is listed more than once and used once"))
    return replace(items, items=tuple(kept), problems=items.problems + tuple(problems))


@dataclass(frozen=True)
class ByClass:
    """The files of `Items`, sorted by class.

    Class `c` has the files `paths[start[c] : start[c] + count[c]]`.
    """

    paths: tuple[Path, ...]
    labels: np.ndarray  # of each file, int64
    start: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, items: Items) -> ByClass:
        """Sort the files of `items`; a class without files has the count 0."""
        order = np.argsort(items.labels, kind="stable")
        labels = items.labels[order]
        count = np.bincount(labels, minlength=len(items.classes))
        paths = tuple(items.items[n].path for n in order)
        return cls(paths, labels, np.cumsum(count) - count, count)

    def lone(self) -> list[Path]:
        """Return the files of the classes that have one file."""
        return [self.paths[n] for n in self.start[self.count == 1]]


Preprocess = Callable[[np.ndarray], Any]

# About 1,700 images of 224 x 224. Reading from memory is about 20 times as fast as decoding JPEG.
CACHE_BYTES = 256 * 2**20


class ImageReader:
    """Reads files into batches: decodes, resizes, optionally mirrors and preprocesses them.

    Args:
        size: Side in pixels, or `(height, width)`.
        fit: `"crop"` or `"stretch"`, as in `read_image`.
        preprocess: A function of a batch of float32 images from 0 to 255, which it may change in
            place, such as `stayfinite.models.preprocess_input("ResNet50")`.
        cache_bytes: Memory for decoded images; the images beyond it are decoded each time. A
            worker process starts with an empty cache.

    Raises:
        ValueError: If an argument is none of these.
    """

    def __init__(
        self, size: Size, fit: str, preprocess: Preprocess | None, cache_bytes: int
    ) -> None:
        self.size = height_and_width(size)
        if fit not in FITS:
            raise ValueError(f"`fit` must be one of {FITS}. Received: fit={fit!r}")
        if preprocess is not None and not callable(preprocess):
            raise ValueError(f"`preprocess` must be a function. Received: {preprocess!r}")
        if cache_bytes < 0:
            raise ValueError(f"`cache_bytes` must be 0 or more. Received: {cache_bytes}")
        self.fit = fit
        self.preprocess = preprocess
        self.cache_bytes = cache_bytes
        self._forget()

    def batch(self, paths: Sequence[Path], mirrored: np.ndarray | None = None) -> np.ndarray:
        """Read a batch of shape `(len(paths), height, width, 3)`.

        Args:
            paths: The files.
            mirrored: Which images are mirrored left to right, bool of shape `(len(paths),)`.

        Raises:
            UsageError: If a file cannot be read.
            ValueError: If `preprocess` does not return one element for each image.
        """
        images = np.stack([self.read(path) for path in paths])
        if mirrored is not None:
            images[mirrored] = images[mirrored, :, ::-1]
        batch = images.astype("float32")
        if self.preprocess is None:
            return batch
        prepared = np.asarray(self.preprocess(batch))
        if prepared.shape[:1] != (len(paths),):
            raise ValueError(
                f"`preprocess` must return one element per image. Received: shape {prepared.shape} "
                f"for {len(paths)} images"
            )
        # Some functions reverse the channels by a view. PyTorch rejects its negative strides.
        return np.ascontiguousarray(prepared)

    def read(self, path: Path) -> np.ndarray:
        """Return one image, uint8 of shape `(height, width, 3)`; it must not be written to."""
        image = self._kept.get(path)
        if image is None:
            image = read_image(path, self.size, self.fit)
            self._keep(path, image)
        return image

    def _keep(self, path: Path, image: np.ndarray) -> None:
        with self._lock:
            if path not in self._kept and self._num_bytes + image.nbytes <= self.cache_bytes:
                self._kept[path] = image
                self._num_bytes += image.nbytes

    def _forget(self) -> None:
        self._kept: dict[Path, np.ndarray] = {}
        self._num_bytes = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        own = ("_kept", "_num_bytes", "_lock")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._forget()
