"""Calls of Python's own functions and of those that make arrays of plain values."""

from __future__ import annotations

import ast
import math

from stayfinite.repair.extraction import creation, natives
from stayfinite.repair.extraction.operators import OPERATORS, operator
from stayfinite.repair.extraction.parts import taken_apart
from stayfinite.repair.extraction.run import Run
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.extraction.values import (
    DType,
    Frame,
    NamedFloat,
    NamedInt,
    Pending,
    Tensor,
)


def native_call(
    run: Run,
    called: object,
    positional: list[object],
    named: dict[str, object],
    expression: ast.Call,
    frame: Frame,
) -> object:
    """Python's own functions; a call of anything else is a leaf."""
    is_pure = called is sum or called is len or natives.is_pure(called)
    if is_pure or natives.is_pure_of_library(called):
        run.pure_calls.add(place_of(frame.source, expression))
    if called is sum and positional and isinstance(positional[0], list | tuple):
        return _summed(run, positional, expression, frame)
    if called is len and isinstance(positional[0] if positional else None, Tensor | Pending):
        shape = run.shape_of(positional[0], frame)
        return shape[0] if shape else Pending(frame.text_of(expression))
    name = getattr(called, "__name__", "")
    if name in ("shape", "ndim", "rank", "size") and positional and not named:
        shape = run.shape_of(positional[0], frame)
        if shape is not None:
            return shape if name == "shape" else len(shape) if name != "size" else math.prod(shape)
    known = [_known(run, value) for value in positional]
    made = creation.made_array(called, known, named)
    if made is not None:
        run.pure_calls.add(place_of(frame.source, expression))
        return run.leaves.array(frame.text_of(expression), made)
    if positional:
        parts = taken_apart(run, called, name, positional[0], positional[1:], named, frame)
        if parts is not None:
            run.pure_calls.add(place_of(frame.source, expression))
            return parts
    containers = (zip, enumerate, reversed, list, tuple, dict, isinstance, sorted, map, filter)
    if any(called is one for one in containers) and called not in (map, filter):
        return _container(run, called, positional, named, expression, frame)
    if called is range or natives.is_pure(called):
        values = [*positional, *named.values()]
        plain = [v.name if isinstance(v, DType) else v for v in positional]
        if all(natives.is_plain(v) or isinstance(v, DType) for v in values):
            assert callable(called)
            try:
                return run.keep(called(*plain, **named))
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                return Pending(frame.text_of(expression))
    run.given_away += [*positional, *named.values()]
    return run.unknown_call(expression, frame)


def _known(run: Run, value: object) -> object:
    """The array of a tensor that interpreted code made of plain values."""
    if isinstance(value, NamedInt | NamedFloat):
        return value.plain
    array = run.leaves.known.get(value.node) if isinstance(value, Tensor) else None
    return value if array is None else array


def _container(
    run: Run,
    called: object,
    positional: list[object],
    named: dict[str, object],
    expression: ast.Call,
    frame: Frame,
) -> object:
    """Functions that only arrange their arguments, which may be tensors."""
    if any(isinstance(v, Tensor | Pending) for v in positional) and called is not enumerate:
        if called is isinstance or called is sorted:
            return Pending(frame.text_of(expression))
        positional = [run.items(v) if isinstance(v, Tensor | Pending) else v for v in positional]
    elif called is enumerate:
        positional = [run.items(positional[0]), *positional[1:]]
    assert callable(called)
    try:
        made = called(*positional, **named)
    except (TypeError, ValueError):
        return Pending(frame.text_of(expression))
    lazy = called in (zip, enumerate, reversed)
    return run.keep(list(made) if lazy else made)


def _summed(run: Run, positional: list[object], expression: ast.Call, frame: Frame) -> object:
    """`sum(list)` adds from the left, to 0."""
    name, add = OPERATORS[ast.Add]
    total: object = positional[1] if len(positional) > 1 else 0
    for item in run.items(positional[0]):
        if isinstance(item, Tensor | Pending) or isinstance(total, Tensor | Pending):
            if total == 0 and len(positional) == 1:
                total = item
                continue
            total = operator(run, name, add, [total, item], expression, frame)
        else:
            total = add(total, item)
    return total
