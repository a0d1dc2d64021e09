"""Calls of library functions and of methods of tensors."""

from __future__ import annotations

import ast

import numpy as np

from stayfinite.repair.extraction import natives
from stayfinite.repair.extraction.assignments import assign
from stayfinite.repair.extraction.formulas import Arguments
from stayfinite.repair.extraction.operators import applied
from stayfinite.repair.extraction.parts import taken_apart
from stayfinite.repair.extraction.run import Run
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.extraction.syntax import place_of
from stayfinite.repair.extraction.values import (
    Frame,
    Method,
    Pending,
    Tensor,
    ValuesAndIndices,
)
from stayfinite.repair.libraries import LIBRARIES, Function

_CASTS = {"float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16"}
_INPLACE = ("add_", "sub_", "mul_", "div_", "clamp_", "exp_", "log_", "neg_", "pow_", "sqrt_")


def library_call(
    run: Run,
    row: Function,
    positional: list[object],
    named: dict[str, object],
    expression: ast.Call,
    frame: Frame,
    receiver: object = None,
) -> object:
    """What a library function gives; `receiver` is the tensor that it is a method of."""
    if row.home.startswith(("torch", "jax")):
        run.family = row.home.partition(".")[0]
    run.pure_calls.add(place_of(frame.source, expression))
    try:
        star = [p for p in row.parameters if p.role.startswith("*")]
        if star:
            several = positional[0] if len(positional) == 1 else tuple(positional)
            arguments: Arguments = {star[0].role[1:]: several}
        else:
            if row.home == "torch" and row.name in ("max", "min"):
                return _torch_extreme(run, row, positional, named, expression, frame, receiver)
            if row.op in ("reshape", "broadcast_to", "transpose") and len(positional) > 2:
                positional = [positional[0], tuple(positional[1:])]
            given = dict(row.bind(positional, named))
            arguments = {k: v for k, v in given.items() if not k.startswith("ignored")}
            if any(given[k] is not None for k in given if k.startswith("ignored")):
                raise CannotReadError("an option that has no node")
    except (TypeError, CannotReadError):
        run.given_away += [*positional, *named.values()]
        return run.unknown_call(expression, frame)
    if receiver is not None:
        arguments["x"] = receiver
    return applied(run, row.op, arguments, expression, frame)


def _torch_extreme(
    run: Run,
    row: Function,
    positional: list[object],
    named: dict[str, object],
    expression: ast.Call,
    frame: Frame,
    receiver: object,
) -> object:
    """`max` of PyTorch: of all, of two, or along an axis with the positions."""
    operands = positional if receiver is None else [receiver, *positional]
    if len(operands) == 2 and isinstance(operands[1], Tensor | Pending):
        pair: Arguments = {"x": operands[0], "y": operands[1]}
        return applied(run, f"{row.op}imum", pair, expression, frame)
    full = LIBRARIES.named("torch", row.name)
    assert full is not None
    arguments: Arguments = dict(full.bind(operands, named))
    value = applied(run, row.op, arguments, expression, frame)
    if arguments.get("axis") is None:
        return value
    return ValuesAndIndices((value, Pending(f"{frame.text_of(expression)}.indices")))


def method_call(
    run: Run,
    called: Method,
    positional: list[object],
    named: dict[str, object],
    expression: ast.Call,
    frame: Frame,
) -> object:
    """What `receiver.name(...)` gives."""
    receiver, name = called.receiver, called.name
    if not isinstance(receiver, Tensor | Pending):
        if natives.method_is_safe(receiver, name, run.owns):
            if natives.only_reads(receiver, name):
                run.pure_calls.add(place_of(frame.source, expression))
            try:
                made = getattr(receiver, name)(*positional, **named)
                views = name in ("items", "keys", "values")
                return run.keep(list(made) if views else made)
            except (AttributeError, LookupError, TypeError, ValueError):
                pass
        return Pending(frame.text_of(expression))
    shape = run.shape_of(receiver, frame) if name in ("size", "dim") else None
    if shape is not None:
        axis = positional[0] if positional else None
        if name == "dim":
            return len(shape)
        return shape[axis] if isinstance(axis, int) else shape
    if name in _CASTS and not positional:
        arguments: Arguments = {"x": receiver, "dtype": _CASTS[name]}
        return applied(run, "cast", arguments, expression, frame)
    in_place = name in _INPLACE
    row = LIBRARIES.method(name.removesuffix("_") if in_place else name, run.family)
    parts = taken_apart(run, None, name, receiver, positional, named, frame)
    if row is None and parts is not None:
        run.pure_calls.add(place_of(frame.source, expression))
        return parts
    if row is None:
        run.given_away += [receiver, *positional]
        value = run.unknown_call(expression, frame)
        if name.endswith("_") and not name.startswith("_"):
            _changed_in_place(run, expression, value, frame)
        return value
    if not hasattr(np.ndarray, name) or "dim" in named or "keepdim" in named:
        run.has_torch_methods = True
    value = library_call(run, row, positional, named, expression, frame, receiver)
    if in_place:
        _changed_in_place(run, expression, value, frame)
    return value


def _changed_in_place(run: Run, expression: ast.Call, value: object, frame: Frame) -> None:
    """The receiver of a method such as `add_` has its result from here on."""
    if isinstance(expression.func, ast.Attribute):
        assign(run, _stored(expression.func.value), value, frame)


def _stored(expression: ast.expr) -> ast.expr:
    if isinstance(expression, ast.Name):
        return ast.copy_location(ast.Name(expression.id, ast.Store()), expression)
    return expression
