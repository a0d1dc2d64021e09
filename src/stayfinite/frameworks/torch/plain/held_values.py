"""What a loop reads under a name of its own: an array that is no weight, no buffer and no batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from stayfinite.frameworks.subject import HeldArray
from stayfinite.frameworks.torch import private
from stayfinite.frameworks.torch.plain.data import LoopData

# Values that are looked at, and the elements of one.
_MAX_VALUES = 2000
_MAX_ITEMS = 100


def name_of(array: np.ndarray, data: LoopData) -> HeldArray | None:
    """The name under which the loop, or an object or container of its, has an equal array."""
    count = 0
    for iteration in reversed(data.iterations):
        for name, value in iteration.values.items():
            for path, each in _inside(name, value):
                count += 1
                if count > _MAX_VALUES:
                    return None
                if _holds(each, array):
                    return HeldArray(path, "name", "")
    return None


def _inside(name: str, value: object) -> Iterator[tuple[str, object]]:
    yield name, value
    if isinstance(value, dict) and len(value) <= _MAX_ITEMS:
        yield from ((f"{name}[{key!r}]", each) for key, each in value.items())
    elif isinstance(value, list | tuple) and len(value) <= _MAX_ITEMS:
        yield from ((f"{name}[{number}]", each) for number, each in enumerate(value))
    elif isinstance(own := getattr(value, "__dict__", None), dict) and _is_object(value):
        yield from ((f"{name}.{key}", each) for key, each in list(own.items()))


def _is_object(value: object) -> bool:
    return not isinstance(value, type | torch.Tensor) and not hasattr(value, "__path__")


def _holds(value: object, array: np.ndarray) -> bool:
    if isinstance(value, float):
        return not array.shape and np.array_equal(value, array, equal_nan=True)
    if isinstance(value, torch.Tensor):
        if tuple(value.shape) != array.shape or not value.is_floating_point():
            return False
        value = private.numpy_of(value.detach())
    if not isinstance(value, np.ndarray) or value.shape != array.shape or value.dtype.kind != "f":
        return False
    return np.array_equal(value.astype(array.dtype), array, equal_nan=True)
