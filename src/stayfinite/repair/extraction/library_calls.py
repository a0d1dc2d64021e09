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
from stayfinite.repair.extraction.values import (
    Call,
    Frame,
    Method,
    Pending,
    Tensor,
    ValuesAndIndices,
)
from stayfinite.repair.libraries import LIBRARIES, Function

_CASTS = {"float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16"}
_INPLACE = ("add_", "sub_", "mul_", "div_", "clamp_", "exp_", "log_", "neg_", "pow_", "sqrt_")


def library_call(run: Run, call: Call, row: Function, receiver: object = None) -> object:
    """What a library function gives; `receiver` is the tensor that it is a method of."""
    positional = call.positional
    if row.home.startswith(("torch", "jax")):
        run.family = row.home.partition(".")[0]
    run.is_pure(call)
    try:
        star = [p for p in row.parameters if p.role.startswith("*")]
        if star:
            several = positional[0] if len(positional) == 1 else tuple(positional)
            arguments: Arguments = {star[0].role[1:]: several}
        else:
            if row.home == "torch" and row.name in ("max", "min"):
                return _torch_extreme(run, call, row, receiver)
            if row.op in ("reshape", "broadcast_to", "transpose") and len(positional) > 2:
                positional = [positional[0], tuple(positional[1:])]
            given = dict(row.bind(positional, call.named))
            arguments = {k: v for k, v in given.items() if not k.startswith("ignored")}
            if any(given[k] is not None for k in given if k.startswith("ignored")):
                raise CannotReadError("an option that has no node")
    except (TypeError, CannotReadError):
        return run.unknown_call(call, *call.arguments)
    if receiver is not None:
        arguments["x"] = receiver
    return applied(run, row.op, arguments, call.expression, call.frame)


def _torch_extreme(run: Run, call: Call, row: Function, receiver: object) -> object:
    """`max` of PyTorch: of all, of two, or along an axis with the positions."""
    operands = call.positional if receiver is None else [receiver, *call.positional]
    if len(operands) == 2 and isinstance(operands[1], Tensor | Pending):
        pair: Arguments = {"x": operands[0], "y": operands[1]}
        return applied(run, f"{row.op}imum", pair, call.expression, call.frame)
    full = LIBRARIES.named("torch", row.name)
    assert full is not None
    arguments: Arguments = dict(full.bind(operands, call.named))
    value = applied(run, row.op, arguments, call.expression, call.frame)
    if arguments.get("axis") is None:
        return value
    return ValuesAndIndices((value, Pending(f"{call.text}.indices")))


def method_call(run: Run, call: Call, method: Method) -> object:
    """What `receiver.name(...)` gives."""
    receiver, name, positional = method.receiver, method.name, call.positional
    if not isinstance(receiver, Tensor | Pending):
        return _plain_method(run, call, method)
    shape = run.shape_of(receiver, call.frame) if name in ("size", "dim") else None
    if shape is not None:
        axis = positional[0] if positional else None
        if name == "dim":
            return len(shape)
        return shape[axis] if isinstance(axis, int) else shape
    if name in _CASTS and not positional:
        arguments: Arguments = {"x": receiver, "dtype": _CASTS[name]}
        return applied(run, "cast", arguments, call.expression, call.frame)
    in_place = name in _INPLACE
    row = LIBRARIES.method(name.removesuffix("_") if in_place else name, run.family)
    if row is None:
        parts = taken_apart(run, call, None, name, [receiver, *positional])
        if parts is not None:
            run.is_pure(call)
            return parts
        if run.family == "torch" and natives.method_of_torch_is_pure(name):
            run.is_pure(call)
        value = run.unknown_call(call, receiver, *positional)
        in_place = name.endswith("_") and not name.startswith("_")
    else:
        if not hasattr(np.ndarray, name) or "dim" in call.named or "keepdim" in call.named:
            run.has_torch_methods = True
        value = library_call(run, call, row, receiver)
    if in_place:
        _changed_in_place(run, call.expression, value, call.frame)
    return value


def _plain_method(run: Run, call: Call, method: Method) -> object:
    """A method of a plain value, run if it has no effect on what the program has."""
    receiver, name = method.receiver, method.name
    if natives.method_is_safe(receiver, name, run.owns):
        if natives.only_reads(receiver, name):
            run.is_pure(call)
        try:
            made = getattr(receiver, name)(*call.positional, **call.named)
            views = name in ("items", "keys", "values")
            return run.keep(list(made) if views else made)
        except (AttributeError, LookupError, TypeError, ValueError):
            pass
    return Pending(call.text)


def _changed_in_place(run: Run, expression: ast.Call, value: object, frame: Frame) -> None:
    """The receiver of a method such as `add_` has its result from here on."""
    if isinstance(expression.func, ast.Attribute):
        assign(run, _stored(expression.func.value), value, frame)


def _stored(expression: ast.expr) -> ast.expr:
    if isinstance(expression, ast.Name):
        return ast.copy_location(ast.Name(expression.id, ast.Store()), expression)
    return expression
