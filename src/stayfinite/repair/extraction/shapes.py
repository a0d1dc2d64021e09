"""The shape of the result of an operation, and the keys of its subscripts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from types import EllipsisType

import numpy as np

from stayfinite.repair.extraction.values import Shape
from stayfinite.repair.formula import REDUCTIONS

IndexPart = int | slice | EllipsisType | None


class CannotReadError(Exception):
    """The call has arguments that a formula cannot express; it becomes a leaf."""


def shape_of_result(
    op: str, shapes: Sequence[Shape], attributes: Mapping[str, Hashable]
) -> Shape | None:
    """The shape of `op` of operands of these shapes.

    Raises:
        CannotReadError: the operation cannot have such operands.
    """
    first = shapes[0] if shapes else ()
    axis = attributes.get("axis")
    if op in REDUCTIONS:
        axes = set(axis) if isinstance(axis, tuple) else set()
        if attributes.get("keepdims"):
            return tuple(1 if i in axes else n for i, n in enumerate(first))
        return tuple(n for i, n in enumerate(first) if i not in axes)
    example = np.broadcast_to(np.zeros(()), first)
    try:
        if op == "expand_dims":
            assert isinstance(axis, tuple)
            return tuple(np.expand_dims(example, axis).shape)
        if op == "squeeze":
            assert isinstance(axis, tuple)
            return tuple(np.squeeze(example, axis).shape)
        if op == "index":
            return example[python_key(attributes["key"])].shape
        if op == "pick":
            return (*np.broadcast_shapes(*shapes[1:]), *first[len(shapes) - 1 :])
        if op in ("reshape", "broadcast_to"):
            wanted = attributes["shape"]
            assert isinstance(wanted, tuple)
            if op == "broadcast_to":
                kept = (1,) * (len(wanted) - len(first)) + first
                return tuple(o if n == -1 else n for n, o in zip(wanted, kept, strict=True))
            return _reshaped(first, wanted)
        if op == "transpose":
            axes_order = attributes["axes"]
            assert isinstance(axes_order, tuple)
            return tuple(first[i] for i in axes_order)
        if op == "take_along_axis":
            assert isinstance(axis, int)
            around = (*first[:axis], shapes[1][axis], *first[axis + 1 :])
            return np.broadcast_shapes(around, shapes[1])
        if op == "diagonal":
            return (min(first),)
        if op in ("stack", "concatenate"):
            assert isinstance(axis, int)
            if op == "stack":
                return (*first[:axis], len(shapes), *first[axis:])
            return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])
        return np.broadcast_shapes(*shapes)
    except (ValueError, IndexError) as error:
        raise CannotReadError(str(error)) from error


def _reshaped(shape: Shape, wanted: tuple[int, ...]) -> Shape:
    if -1 not in wanted:
        return wanted
    known = math.prod(n for n in wanted if n != -1)
    rest = math.prod(shape) // known if known else 0
    return tuple(rest if n == -1 else n for n in wanted)


def python_key(key: Hashable) -> tuple[IndexPart, ...]:
    """The key of an `index` node as Python has it."""
    assert isinstance(key, tuple)
    return tuple(slice(*part[1:]) if isinstance(part, tuple) else part for part in key)


def node_key(key: object) -> tuple[Hashable, ...]:
    """The key of an `index` node.

    Raises:
        CannotReadError: an index is a tensor, a list or a mask.
    """
    parts = key if isinstance(key, tuple) else (key,)
    found: list[Hashable] = []
    for part in parts:
        if isinstance(part, slice):
            bounds = (part.start, part.stop, part.step)
            if not all(bound is None or isinstance(bound, int) for bound in bounds):
                raise CannotReadError("a slice between tensors")
            found.append(("slice", *bounds))
        elif part is None or part is Ellipsis:
            found.append(part)
        elif isinstance(part, int | np.integer) and not isinstance(part, bool):
            found.append(int(part))
        else:
            raise CannotReadError("an index that is not an integer")
    return tuple(found)
