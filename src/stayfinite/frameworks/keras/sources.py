"""The state of the user's data set: its random generators, its order, its numbers.

A data set is an object of any class, as a `PyDataset` or a `DataLoader` with its sampler. What it
holds is searched for values that may change from epoch to epoch.
"""

from __future__ import annotations

import collections
import io
import sys
import types
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.keras import source_values
from stayfinite.frameworks.keras.plain_values import MISSING, decoded, encoded, put_into

# Longer containers are data.
_MAX_PLAIN = 4 * 2**20
_MAX_DEPTH = 3
_MAX_OBJECTS = 200
_MAX_ITEMS = 64

_PLAIN = (bool, int, float, str, type(None))
_CONTAINERS = (list, tuple, dict, set, collections.deque)
# What has attributes that are no state of a data set.
_NOT_STATE = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    keras.Layer,
)


@dataclass(frozen=True)
class SourceState:
    """Values by their path, as "sampler.generator"."""

    arrays: dict[str, np.ndarray]
    plain: dict[str, object]


@dataclass(frozen=True)
class _Held:
    """A value that a data set holds, and what puts another in its place."""

    path: str
    value: Any
    put: Callable[[Any], None]


class Sources:
    """The objects reached from the data set `root`.

    Args:
        root: What the user passed to `fit`; None for arrays and generators.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        # A value that has not changed since the beginning is made again by the script.
        self._at_begin = {held.path: _digest(held.value) for held in self._values()}

    @property
    def has_workers(self) -> bool:
        """Whether several threads or processes make the batches of a `PyDataset`."""
        several = getattr(self._root, "workers", 1) > 1
        return bool(several or getattr(self._root, "use_multiprocessing", False))

    @property
    def has_lasting_workers(self) -> bool:
        """Whether a `DataLoader` has worker processes that live for several epochs."""
        return bool(getattr(self._root, "persistent_workers", False))

    def iterator(self) -> str | None:
        """The path of an iterator, whose position cannot be saved; None if there is none."""
        for held in self._values():
            if isinstance(held.value, Iterator) and not isinstance(held.value, io.IOBase):
                return held.path
        return None

    def present(self) -> SourceState:
        """The present state."""
        arrays: dict[str, np.ndarray] = {}
        plain: dict[str, object] = {}
        for held in self._values():
            value, path = held.value, held.path
            array = source_values.as_array(value)
            if array is not None:
                is_new = self._at_begin.get(path) != _digest(value)
                if source_values.is_generator(value) or is_new or _is_order(array):
                    arrays[path] = array.copy()
            elif source_values.is_generator(value):
                plain[path] = source_values.generator_state(value)
            elif isinstance(value, (*_PLAIN, *_CONTAINERS)):
                is_order = isinstance(value, list) and all(type(item) is int for item in value)
                if is_order or self._at_begin.get(path) != _digest(value):
                    plain[path] = encoded(value)
        return SourceState(arrays, plain)

    def restore(self, state: SourceState) -> None:
        """Set the values to `state`."""
        for held in list(self._values()):
            if held.path in state.arrays:
                saved = state.arrays[held.path]
                if not source_values.put_array(held.value, saved):
                    held.put(saved.copy())
            elif held.path in state.plain:
                as_json = state.plain[held.path]
                if source_values.is_generator(held.value):
                    source_values.set_generator(held.value, as_json)
                    continue
                value = decoded(as_json)
                if not put_into(held.value, value):
                    held.put(value)

    def _values(self) -> Iterator[_Held]:
        """Each value that may be state."""
        todo: list[tuple[str, Any, int]] = [("", self._root, 0)]
        seen: set[int] = set()
        while todo and len(seen) < _MAX_OBJECTS:
            prefix, owner, depth = todo.pop(0)
            if id(owner) in seen:
                continue
            seen.add(id(owner))
            for held in list(_held_by(owner, prefix)):
                if _is_value(held.value):
                    yield held
                elif depth < _MAX_DEPTH and _may_have_state(held.value):
                    todo.append((held.path, held.value, depth + 1))


def _held_by(owner: Any, prefix: str) -> Iterator[_Held]:
    """The attributes of an object, the items of a container, the seeds of a layer."""
    if isinstance(owner, keras.Layer):
        for variable in owner.variables:
            if variable.path.endswith("seed_generator_state"):
                yield _Held(f"{prefix}.{variable.path}", variable, variable.assign)
        return
    if isinstance(owner, dict | list | tuple):
        items = owner.items() if isinstance(owner, dict) else enumerate(owner)
        for key, value in list(items):
            yield _Held(f"{prefix}[{key}]", value, _setter_of_item(owner, key))
        return
    dot = "." if prefix else ""
    for name, value in _attributes(owner):
        yield _Held(f"{prefix}{dot}{name}", value, _setter_of_attribute(owner, name))


def _attributes(owner: Any) -> Iterator[tuple[str, Any]]:
    yield from list(getattr(owner, "__dict__", {}).items())
    for kind in _kinds_with_slots(type(owner)):
        slots = vars(kind)["__slots__"]
        for name in [slots] if isinstance(slots, str) else list(slots):
            # A private one has another name outside of its class.
            value = getattr(owner, name, MISSING)
            if value is not MISSING:
                yield name, value


def _kinds_with_slots(kind: type) -> list[type]:
    """Those of the standard library hold what is true in one process only, as hashes."""
    return [
        each
        for each in kind.__mro__
        if vars(each).get("__slots__")
        and each.__module__.partition(".")[0] not in sys.stdlib_module_names
    ]


def _setter_of_attribute(owner: Any, name: str) -> Callable[[Any], None]:
    return lambda value: setattr(owner, name, value)


def _setter_of_item(owner: Any, key: Any) -> Callable[[Any], None]:
    def put(value: Any) -> None:
        if not isinstance(owner, tuple):
            owner[key] = value

    return put


def _is_value(value: Any) -> bool:
    if isinstance(value, _CONTAINERS):
        return len(value) <= _MAX_PLAIN and _is_plain(value)
    if source_values.is_generator(value) or isinstance(value, (*_PLAIN, Iterator)):
        return True
    return source_values.as_array(value) is not None


def _is_plain(container: Any) -> bool:
    if not isinstance(container, dict) and all(type(item) in _PLAIN for item in container):
        return True  # nothing is built for what may be long
    return encoded(container) is not MISSING


def _may_have_state(value: Any) -> bool:
    if isinstance(value, list | tuple | dict):
        return len(value) <= _MAX_ITEMS
    if isinstance(value, keras.Layer):
        return not isinstance(value, keras.Model) or not value.trainable_variables
    has_attributes = hasattr(value, "__dict__") or bool(_kinds_with_slots(type(value)))
    return has_attributes and not isinstance(value, _NOT_STATE)


def _is_order(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and array.nbytes <= source_values.MAX_ORDER and array.ndim == 1


def _digest(value: Any) -> object:
    """What differs for another value, as far as the value may be state; None for a generator."""
    if source_values.is_generator(value):
        return None
    array = source_values.as_array(value)
    if array is not None:
        return array.shape, str(array.dtype), zlib.crc32(array.tobytes())
    if isinstance(value, _PLAIN):
        return value
    if not isinstance(value, _CONTAINERS):
        return None
    try:
        return hash(tuple(value.items() if isinstance(value, dict) else value))
    except TypeError:  # a container in it
        return zlib.crc32(repr(value).encode())
