"""Calls of Python's own functions and of those that make arrays of plain values."""

from __future__ import annotations

import ast
import math
import warnings

from stayfinite.repair.extraction import creation, natives
from stayfinite.repair.extraction.operators import OPERATORS, operator
from stayfinite.repair.extraction.parts import taken_apart
from stayfinite.repair.extraction.run import GivesUpError, Run
from stayfinite.repair.extraction.values import (
    Call,
    DType,
    NamedFloat,
    NamedInt,
    Pending,
    Tensor,
)


def native_call(run: Run, call: Call) -> object:
    """Python's own functions; a call of anything else is a leaf."""
    called, positional, named = call.called, call.positional, call.named
    first = positional[0] if positional else None
    is_pure = called is sum or called is len or natives.is_pure(called)
    if is_pure or natives.is_pure_of_library(called):
        run.is_pure(call)
    if called is sum and isinstance(first, list | tuple):
        return _summed(run, call)
    if called is len and isinstance(first, Tensor | Pending):
        shape = run.shape_of(first, call.frame)
        return shape[0] if shape else Pending(call.text)
    name = getattr(called, "__name__", "")
    if name in ("shape", "ndim", "rank", "size") and positional and not named:
        shape = run.shape_of(first, call.frame)
        if shape is not None:
            return shape if name == "shape" else len(shape) if name != "size" else math.prod(shape)
    made = creation.made_array(called, [_known(run, value) for value in positional], named)
    if made is not None:
        run.is_pure(call)
        return run.leaves.array(call.text, made)
    parts = taken_apart(run, call, called, name, positional)
    if parts is not None:
        run.is_pure(call)
        return parts
    containers = (zip, enumerate, reversed, list, tuple, dict, isinstance, sorted)
    if any(called is one for one in containers):
        return _container(run, call)
    if called is range or natives.is_pure(called):
        plain = [v.name if isinstance(v, DType) else v for v in positional]
        if all(natives.is_plain(v) or isinstance(v, DType) for v in call.arguments):
            assert callable(called)
            try:
                # Code of the user's that this stands for may never be reached, as on empty lists.
                with warnings.catch_warnings(action="ignore"):
                    return run.keep(called(*plain, **named))
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                return Pending(call.text)
    return run.unknown_call(call, *call.arguments)


def _known(run: Run, value: object) -> object:
    """The array of a tensor that interpreted code made of plain values."""
    if isinstance(value, NamedInt | NamedFloat):
        return value.plain
    array = run.leaves.known.get(value.node) if isinstance(value, Tensor) else None
    return value if array is None else array


def _container(run: Run, call: Call) -> object:
    """Functions that only arrange their arguments, which may be tensors."""
    called, positional = call.called, call.positional
    if any(isinstance(v, Tensor | Pending) for v in positional) and called is not enumerate:
        if called is isinstance or called is sorted:
            return Pending(call.text)
        try:
            positional = [
                run.items(v) if isinstance(v, Tensor | Pending) else v for v in positional
            ]
        except GivesUpError:
            # Only code that takes the elements one by one has to know them.
            run.given_away += positional
            return Pending(call.text)
    elif called is enumerate:
        positional = [run.items(positional[0]), *positional[1:]]
    assert callable(called)
    try:
        made = called(*positional, **call.named)
    except (TypeError, ValueError):
        return Pending(call.text)
    lazy = called in (zip, enumerate, reversed)
    return run.keep(list(made) if lazy else made)


def _summed(run: Run, call: Call) -> object:
    """`sum(list)` adds from the left, to 0."""
    name, add = OPERATORS[ast.Add]
    items, *start = call.positional
    total: object = start[0] if start else 0
    for item in run.items(items):
        if isinstance(item, Tensor | Pending) or isinstance(total, Tensor | Pending):
            if total == 0 and not start:
                total = item
                continue
            total = operator(run, name, add, [total, item], call.expression, call.frame)
        else:
            total = add(total, item)
    return total
