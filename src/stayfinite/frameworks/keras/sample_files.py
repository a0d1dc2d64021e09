"""Which files the samples of a batch came from, where the data set of a `fit` has that method.

A `keras.utils.PyDataset` can if it has a method `files_of(batch_index)` with an entry for each
sample, as those of `stayfinite.data` have. It is called after a bad step only. Keras may shuffle
the order of the batches, and may have begun another epoch by the time that a step is known to be
bad, so the batch is made once more, and its files are used only if it is the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.failure import Files
from stayfinite.frameworks.keras import running_fit
from stayfinite.frameworks.keras.batches import leaves

# Seconds. Each batch that is compared has to be loaded again.
_SECONDS = 5.0


def files_of(data: Any, batch: int | None) -> tuple[Files, ...] | None:
    """The files of each sample of a batch that the `fit` at work has drawn; None where unknown.

    Args:
        data: The batch, as the train step was given it.
        batch: Its number within the epoch.
    """
    dataset = running_fit.dataset_at_work()
    if dataset is None or batch is None or not callable(getattr(dataset, "files_of", None)):
        return None
    expected = [keras.ops.convert_to_numpy(leaf) for leaf in leaves(data)]
    until = time.monotonic() + _SECONDS
    for index in _likely(batch, len(dataset)):
        for epoch in _epochs(dataset):
            with _in_epoch(dataset, epoch):
                if _same(leaves(dataset[index]), expected):
                    return tuple(_each(files) for files in dataset.files_of(index))
        if time.monotonic() > until:
            return None
    return None


def _likely(batch: int, num_batches: int) -> Iterator[int]:
    if batch < num_batches:
        yield batch
    yield from (index for index in range(num_batches) if index != batch)


def _epochs(dataset: Any) -> list[int | None]:
    """The epoch that a data set which counts them is in, and the one before; None elsewhere."""
    epoch = getattr(dataset, "epoch", None)
    if not isinstance(epoch, int):
        return [None]
    return [epoch, epoch - 1] if epoch > 0 else [epoch]


@contextmanager
def _in_epoch(dataset: Any, epoch: int | None) -> Iterator[None]:
    if epoch is None or epoch == dataset.epoch:
        yield
        return
    now = dataset.epoch
    dataset.epoch = epoch
    try:
        yield
    finally:
        dataset.epoch = now


def _same(found: list[Any], expected: list[np.ndarray]) -> bool:
    if len(found) != len(expected):
        return False
    pairs = [(np.asarray(one), other) for one, other in zip(found, expected, strict=True)]
    return all(
        # Keras may have changed the dtype on the way.
        one.shape == other.shape
        and np.array_equal(one.astype(other.dtype), other, equal_nan=other.dtype.kind in "fc")
        for one, other in pairs
    )


def _each(files: Any) -> Files:
    return tuple(map(str, files)) if isinstance(files, list | tuple) else (str(files),)
