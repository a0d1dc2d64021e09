"""Where an array that is no weight is held: by a layer, another object, a closure or a module."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

import keras
import numpy as np

from stayfinite.frameworks.subject import HeldArray, Layer

# They have no array of the user, though they may have a `shape` and a `dtype`.
_NO_ARRAYS = (ModuleType, FunctionType, type)
# Of the lists and dicts that are searched: how deep they are nested, and how long one is.
_MAX_DEPTH = 3
_MAX_ITEMS = 1000


def holder_of(
    array: np.ndarray, layers: Iterable[Layer], codes: Iterable[CodeType]
) -> HeldArray | None:
    """What holds an array that is equal to `array`; None where nothing is found.

    Args:
        array: The values, of the dtype in which a step reads them.
        layers: The layers of the training.
        codes: The code of the user's functions that read it.
    """
    for layer in layers:
        for name in _equal(_buffers(layer) | vars(layer), array):
            return HeldArray(name, "layer", str(getattr(layer, "path", layer.name)))
    functions = _functions_of(codes)
    for function in functions:
        for instance in _instances_of(function):
            for name in _equal(vars(instance), array):
                return HeldArray(name, "object", type(instance).__name__)
        for name in _equal(_closure(function), array):
            return HeldArray(name, "closure", function.__qualname__)
        read = {n: v for n, v in function.__globals__.items() if n in function.__code__.co_names}
        for name in _equal(read, array):
            return HeldArray(name, "module", str(function.__globals__.get("__name__")))
        for name, held in read.items():
            for attribute in _equal(_attributes(held), array):
                return HeldArray(attribute, "object", name)
    return None


def _functions_of(codes: Iterable[CodeType]) -> list[FunctionType]:
    wanted = {id(code): code for code in codes}
    return [
        function
        for function in gc.get_referrers(*wanted.values())
        if type(function) is FunctionType and id(function.__code__) in wanted
    ]


def _instances_of(function: FunctionType) -> list[object]:
    """The live objects whose class has `function` as a method, by the name in its qualname."""
    owner = function.__globals__.get(function.__qualname__.partition(".")[0])
    if not isinstance(owner, type) or vars(owner).get(function.__name__) is not function:
        return []
    return [thing for thing in gc.get_referrers(owner) if type(thing) is owner]


def _closure(function: FunctionType) -> dict[str, object]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found: dict[str, object] = {}
    for name, cell in cells:
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def _attributes(held: object) -> Mapping[str, object]:
    # Modules hold arrays of libraries, classes those of all their instances.
    is_object = hasattr(held, "__dict__") and not isinstance(held, _NO_ARRAYS)
    return vars(held) if is_object else {}


def _buffers(layer: Any) -> dict[str, object]:
    """The buffers of a PyTorch module by name, as every layer of Keras is one on PyTorch."""
    named = getattr(layer, "named_buffers", None)
    return {} if named is None else dict(named(recurse=False))


def _equal(held: Mapping[str, object], array: np.ndarray) -> Iterator[str]:
    """The names under which `held` has an array equal to `array`: `scale`, `tables['a'][0]`."""
    for name, value in list(held.items()):
        for path, each in _inside(name, value, _MAX_DEPTH):
            if not isinstance(each, (*_NO_ARRAYS, keras.Variable)) and _holds(each, array):
                yield path


def _inside(path: str, value: object, depth: int) -> Iterator[tuple[str, object]]:
    """`value`, or what it holds if it is a list, a tuple or a dict."""
    items: Iterable[tuple[object, object]]
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list | tuple):
        items = list(enumerate(value))
    else:
        yield path, value
        return
    if depth and len(value) <= _MAX_ITEMS:
        for key, each in items:
            yield from _inside(f"{path}[{key!r}]", each, depth - 1)


def _holds(value: Any, array: np.ndarray) -> bool:
    if isinstance(value, float):
        return not array.shape and np.array_equal(value, array, equal_nan=True)
    shape = getattr(value, "shape", None)
    if shape is None or not hasattr(value, "dtype") or tuple(shape) != array.shape:
        return False
    is_deleted = getattr(value, "is_deleted", None)  # donated to a step, on JAX
    if is_deleted is not None and is_deleted():
        return False
    held = value if isinstance(value, np.ndarray) else keras.ops.convert_to_numpy(value)
    if held.dtype.kind not in "fiub":
        return False
    return np.array_equal(held.astype(array.dtype), array, equal_nan=True)
