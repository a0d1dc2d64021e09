"""The batches that the workers of a `PyDataset` have made ahead, as arrays and JSON.

Keras keeps what is left of them at the end of an epoch for the next one.
"""

from __future__ import annotations

import queue
from typing import Any

import numpy as np

from stayfinite.frameworks.keras.sources import SourceState

# Larger ones are not kept in a checkpoint.
_MAX_BYTES = 64 * 2**20


class _CannotPackError(Exception):
    """A batch has another value than arrays, numbers and containers of them."""


def waiting(batches: queue.Queue[Any]) -> SourceState | None:
    """The batches in the queue, which stay there; None if they are too large, or no arrays.

    No other thread may use the queue.
    """
    there = _drawn(batches)
    for batch in there:
        batches.put(batch)
    arrays: dict[str, np.ndarray] = {}
    try:
        packed = [_packed(batch, arrays) for batch in there]
    except _CannotPackError:
        return None
    if sum(array.nbytes for array in arrays.values()) > _MAX_BYTES:
        return None
    return SourceState(arrays, {"batches": packed})


def put_back(batches: queue.Queue[Any], state: SourceState) -> None:
    """Have the queue hold what `waiting` gave, and nothing else."""
    _drawn(batches)
    packed = state.plain["batches"]
    assert isinstance(packed, list)
    for batch in packed:
        batches.put(_unpacked(batch, state.arrays))


def _drawn(batches: queue.Queue[Any]) -> list[Any]:
    drawn = []
    while not batches.empty():
        drawn.append(batches.get())
    return drawn


def _packed(value: Any, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        name = str(len(arrays))
        arrays[name] = value
        return {"array": name}
    if type(value) in (list, tuple):
        return {type(value).__name__: [_packed(item, arrays) for item in value]}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {"dict": {key: _packed(item, arrays) for key, item in value.items()}}
    if value is None or type(value) in (bool, int, float, str):
        return {"plain": value}
    raise _CannotPackError


def _unpacked(packed: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    ((kind, content),) = packed.items()
    if kind == "array":
        return arrays[content]
    if kind == "plain":
        return content
    if kind == "dict":
        return {key: _unpacked(item, arrays) for key, item in content.items()}
    items = [_unpacked(item, arrays) for item in content]
    return tuple(items) if kind == "tuple" else items
