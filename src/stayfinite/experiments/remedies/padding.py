"""Masks of attention with rows that have no key: padding on the other side, and keys for them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stayfinite.diagnose.values import as_float
from stayfinite.experiments.changes import PaddingOnRight, UnmaskedRows
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import OnBatch

# A score that is masked by addition is at most this.
_MASKED = -1e4


def candidates(batch: Batch) -> Iterator[tuple[PaddingOnRight | UnmaskedRows, OnBatch]]:
    """The batch with its padding on the right, and with every key for each row without one."""
    arrays = batch.arrays()
    masks = [name for name in arrays if "mask" in name.lower()]
    for name in masks:
        mask = arrays[name]
        if mask.ndim == 2 and mask.dtype.kind in "biu":
            moved = _on_right(arrays, mask)
            if moved is not None and len(masks) == 1:
                num_rows = int((mask[:, 0] == 0).sum())
                yield PaddingOnRight(name, num_rows), OnBatch(batch.with_arrays(moved))
    for name in masks:
        opened, num_rows = _opened(arrays[name])
        if num_rows:
            yield UnmaskedRows(name, num_rows), OnBatch(batch.with_arrays({name: opened}))


def _on_right(arrays: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray] | None:
    """Every array of the shape of `mask`, each row turned until it begins with a 1 of the mask."""
    has_key = (mask != 0).any(axis=1)
    first = np.where(has_key, (mask != 0).argmax(axis=1), 0)
    if not first.any():
        return None
    columns = (np.arange(mask.shape[1]) + first[:, None]) % mask.shape[1]
    return {
        name: np.take_along_axis(array, columns, axis=1)
        for name, array in arrays.items()
        if array.shape == mask.shape
    }


def _opened(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """`mask` with every key for the rows that have none, and how many these are."""
    if mask.ndim < 2:
        return mask, 0
    if mask.dtype.kind in "biu":
        closed, key = mask == 0, np.ones((), mask.dtype)
    else:
        closed, key = as_float(mask) <= _MASKED, np.zeros((), mask.dtype)
    whole = closed.all(axis=-1, keepdims=True)
    return np.where(whole, key, mask), int(whole.sum())
