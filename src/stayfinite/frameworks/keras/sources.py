"""The state of the user's data set: its random generators, its order, its numbers.

A data set is an object of any class, as a `PyDataset` or a `DataLoader` with its sampler. Its
attributes are searched for plain values that may change from epoch to epoch.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

# Larger arrays of integers are data.
_MAX_ORDER = 16 * 2**20
_MAX_DEPTH = 3
_MAX_OBJECTS = 200

Plain = bool | int | float | str | None


@dataclass(frozen=True)
class SourceState:
    """Attributes by their path, as "sampler.generator"."""

    arrays: dict[str, np.ndarray]
    plain: dict[str, object]


class Sources:
    """The objects reached from the data set `root`.

    Args:
        root: What the user passed to `fit`; None for arrays and generators.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        # A value that has not changed since the beginning is made again by the script.
        self._at_begin = dict(self._digests())

    @property
    def has_workers(self) -> bool:
        """Whether several threads or processes make the batches."""
        several = getattr(self._root, "workers", 1) > 1
        return bool(several or getattr(self._root, "use_multiprocessing", False))

    def present(self) -> SourceState:
        """The present state."""
        arrays: dict[str, np.ndarray] = {}
        plain: dict[str, object] = {}
        for path, _, _, value in self._attributes():
            if isinstance(value, np.ndarray):
                if _is_order(value) or self._at_begin.get(path) != _digest(value):
                    arrays[path] = value.copy()
            elif isinstance(value, np.random.Generator):
                plain[path] = _as_lists(value.bit_generator.state)
            elif isinstance(value, np.random.RandomState):
                plain[path] = _as_lists(value.get_state(legacy=False))
            elif isinstance(value, random.Random):
                version, words, gauss = value.getstate()
                plain[path] = [version, list(words), gauss]
            elif _is_torch_generator(value):
                arrays[path] = value.get_state().cpu().numpy().copy()
            elif isinstance(value, list):
                if all(type(item) is int for item in value):
                    plain[path] = list(value)
            elif self._at_begin.get(path) != value:
                plain[path] = value
        return SourceState(arrays, plain)

    def restore(self, state: SourceState) -> None:
        """Set the attributes to `state`."""
        for path, owner, name, value in list(self._attributes()):
            if path in state.arrays:
                _restore_array(owner, name, value, state.arrays[path])
            elif path in state.plain:
                _restore_plain(owner, name, value, state.plain[path])

    def _digests(self) -> Iterator[tuple[str, object]]:
        for path, _, _, value in self._attributes():
            if isinstance(value, np.ndarray):
                yield path, None if _is_order(value) else _digest(value)
            elif isinstance(value, Plain):
                yield path, value

    def _attributes(self) -> Iterator[tuple[str, Any, str, Any]]:
        """Path, owner, name and value of each attribute that may be state."""
        todo: list[tuple[str, Any, int]] = [("", self._root, 0)]
        seen: set[int] = set()
        while todo and len(seen) < _MAX_OBJECTS:
            prefix, owner, depth = todo.pop(0)
            if id(owner) in seen:
                continue
            seen.add(id(owner))
            for name, value in list(getattr(owner, "__dict__", {}).items()):
                path = f"{prefix}{name}"
                if isinstance(value, Plain | list | np.ndarray) or _is_generator(value):
                    yield path, owner, name, value
                elif depth < _MAX_DEPTH and _may_have_state(value):
                    todo.append((f"{path}.", value, depth + 1))


def _is_generator(value: Any) -> bool:
    kinds = (np.random.Generator, np.random.RandomState, random.Random)
    return isinstance(value, kinds) or _is_torch_generator(value)


def _is_torch_generator(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "Generator" and kind.__module__.partition(".")[0] == "torch"


def _may_have_state(value: Any) -> bool:
    return hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value)


def _is_order(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and array.nbytes <= _MAX_ORDER and array.ndim == 1


def _digest(array: np.ndarray) -> object:
    if array.dtype.hasobject:
        return None
    return array.shape, str(array.dtype), zlib.crc32(array.tobytes())


def _restore_array(owner: Any, name: str, value: Any, saved: np.ndarray) -> None:
    if not isinstance(value, np.ndarray):
        value.set_state(_tensor_like(value.get_state(), saved))
    elif value.shape == saved.shape and value.dtype == saved.dtype and value.flags.writeable:
        value[...] = saved  # the same object: another attribute may have it, too
    else:
        setattr(owner, name, saved.copy())


def _tensor_like(tensor: Any, saved: np.ndarray) -> Any:
    new = tensor.clone()
    new.numpy()[...] = saved
    return new


def _restore_plain(owner: Any, name: str, value: Any, saved: Any) -> None:
    if isinstance(value, np.random.Generator):
        value.bit_generator.state = _as_arrays(saved)
    elif isinstance(value, np.random.RandomState):
        value.set_state(_as_arrays(saved))
    elif isinstance(value, random.Random):
        version, words, gauss = saved
        value.setstate((version, tuple(words), gauss))
    elif isinstance(value, list) and isinstance(saved, list):
        value[:] = saved
    else:
        setattr(owner, name, saved)


def _as_lists(state: Any) -> Any:
    if isinstance(state, dict):
        return {name: _as_lists(value) for name, value in state.items()}
    return {"uints": state.tolist()} if isinstance(state, np.ndarray) else state


def _as_arrays(state: Any) -> Any:
    if isinstance(state, dict) and set(state) == {"uints"}:
        return np.array(state["uints"], np.uint64)
    if isinstance(state, dict):
        return {name: _as_arrays(value) for name, value in state.items()}
    return state
