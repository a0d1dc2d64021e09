"""Library functions that make arrays of plain values, and those that take tensors apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stayfinite.repair.extraction import natives

_LIBRARIES = ("jax", "keras", "tensorflow", "torch")
_CREATING = frozenset(
    "arange array as_tensor asarray constant convert_to_tensor eye full linspace one_hot ones range"
    " scalar_tensor tensor zeros".split()
)
_SPLITTING = frozenset("chunk split unbind unstack".split())


def made_array(
    called: object, positional: Sequence[object], named: Mapping[str, object]
) -> np.ndarray | None:
    """The array of plain values that a library function makes; None for any other call."""
    values = [*positional, *named.values()]
    if not _is_library(called, _CREATING) or not all(map(_is_setting, values)):
        return None
    assert callable(called)
    try:
        made = called(*positional, **named)
        return np.asarray(made) if natives.is_living_tensor(made) else None
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        return None


def num_parts(
    called: object, name: str, positional: Sequence[object], named: Mapping[str, object]
) -> tuple[int | None, int, bool] | None:
    """Number of parts, axis, and whether the axis goes, of a call that takes a tensor apart.

    `positional` are the arguments after the tensor. The number is None for the length of the axis.
    None for any other call, and for parts of unequal lengths.
    """
    if name not in _SPLITTING or (called is not None and not _is_library(called, _SPLITTING)):
        return None
    given = dict(named)
    axis = given.pop("axis", given.pop("dim", None))
    rest = list(positional)
    if name in ("unbind", "unstack"):
        is_torch = called is None or "torch" in _module(called)
        if rest and (is_torch or name == "unbind"):
            axis = rest.pop(0)
        if name == "unstack":
            given.pop("num", None)
            axis = rest[1] if len(rest) > 1 else axis
            rest = []
        found: tuple[object, object, bool] = (None, 0 if axis is None else axis, True)
    else:
        count = rest.pop(0) if rest else next(iter(given.values()), None)
        axis = rest.pop(0) if rest else axis
        if name == "split" and (called is None or "torch" in _module(called)):
            return None  # PyTorch gives the length of a part
        found = (count, 0 if axis is None else axis, False)
    count_found, axis_found, goes = found
    if not isinstance(axis_found, int) or not (
        count_found is None or (isinstance(count_found, int) and not isinstance(count_found, bool))
    ):
        return None
    return count_found, axis_found, goes


def _is_library(called: object, names: frozenset[str]) -> bool:
    name = getattr(called, "__name__", "")
    return name in names and _module(called).partition(".")[0] in _LIBRARIES


def _module(called: object) -> str:
    module = getattr(called, "__module__", None)
    if isinstance(module, str):
        return module
    return "torch" if "torch" in repr(called) or called is None else ""


def _is_setting(value: object) -> bool:
    """A plain value, or the dtype or device of a library."""
    if isinstance(value, tuple | list):
        return all(map(_is_setting, value))
    return natives.is_plain(value) or type(value).__name__ in ("dtype", "DType", "device")
