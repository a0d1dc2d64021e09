"""Attributes, elements and slices of values."""

from __future__ import annotations

import ast
import types
from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from stayfinite.graph.code_owner import is_user_file
from stayfinite.repair.extraction import creation
from stayfinite.repair.extraction.operators import applied
from stayfinite.repair.extraction.recorded import RecordedCall
from stayfinite.repair.extraction.run import Run
from stayfinite.repair.extraction.shapes import CannotReadError, node_key
from stayfinite.repair.extraction.values import (
    Call,
    DType,
    Frame,
    Method,
    Pending,
    Tensor,
    ValuesAndIndices,
)
from stayfinite.repair.formula import Node

_ARRAYS = (Tensor, Pending, np.ndarray, range, list)


@runtime_checkable
class _Indexable(Protocol):
    def __getitem__(self, key: object, /) -> object: ...


def attribute(run: Run, expression: ast.Attribute, frame: Frame) -> object:
    """`base.name`."""
    base, name = run.evaluate(expression.value, frame), expression.attr
    text = frame.text_of(expression)
    if (id(base), name) in run.attributes:
        return run.attributes[id(base), name]
    if isinstance(base, Tensor):
        return _tensor_attribute(run, base, name, expression, frame)
    if isinstance(base, Pending):
        return _pending_attribute(run, base, name, expression, frame)
    if isinstance(base, ValuesAndIndices) and name in ("values", "indices"):
        return base.parts[name == "indices"]
    if isinstance(base, list | dict | set | str | tuple):
        return Method(base, name, text)
    if isinstance(base, np.generic) and _is_called(expression, frame):
        return Method(base, name, text)
    try:
        value = getattr(base, name)
    except AttributeError:
        return Pending(text)
    if isinstance(base, types.ModuleType):
        # A module that is built in, as `sys`, has no file.
        file = getattr(base, "__file__", None)
        if file is None or not is_user_file(file):
            return value
    return run.adopted(value, text)


def _tensor_attribute(
    run: Run, base: Tensor, name: str, expression: ast.Attribute, frame: Frame
) -> object:
    shape = run.formulas.shape(base.node)
    if name == "shape" and shape is not None:
        return shape
    if name == "ndim" and shape is not None:
        return len(shape)
    if name == "dtype":
        return DType(run.formulas.dtypes.get(base.node, "float32"))
    if name == "T":
        return applied(run, "transpose", {"x": base, "axes": None}, expression, frame)
    if name in ("shape", "ndim", "device", "requires_grad", "grad"):
        return Pending(frame.text_of(expression))
    return Method(base, name, frame.text_of(expression))


def _pending_attribute(
    run: Run, base: Pending, name: str, expression: ast.Attribute, frame: Frame
) -> object:
    text = frame.text_of(expression)
    if name in ("shape", "ndim", "dtype", "T") and run.ahead(base, frame):
        assert base.tensor is not None
        return _tensor_attribute(run, base.tensor, name, expression, frame)
    if _is_called(expression, frame):
        return Method(base, name, text)
    if name == "value" and run.leaves.wraps(base):
        return base
    return base.parts.setdefault(name, Pending(text))


def subscript(run: Run, expression: ast.Subscript, frame: Frame) -> object:
    """`base[key]`."""
    base = run.evaluate(expression.value, frame)
    key = key_of(run, expression.slice, frame)
    text = frame.text_of(expression)
    if isinstance(base, ValuesAndIndices) and isinstance(key, int):
        return base.parts[key]
    if isinstance(base, Pending) and base.tensor is None:
        evaluation = run.recorded.evaluation(run.stack(expression))
        if evaluation is None and base.text not in run.leaves.earlier:
            # No operation was recorded: an element of a tuple or dictionary.
            return base.parts.setdefault(repr(key), Pending(text))
        run.leaves.match([base, *_parts_of(key)], evaluation)
        return _indexed(run, base, key, expression, frame, evaluation)
    if isinstance(base, Tensor | Pending):
        evaluation = run.recorded.evaluation(run.stack(expression))
        run.leaves.match([base, *_parts_of(key)], evaluation)
        return _indexed(run, base, key, expression, frame, evaluation)
    if not isinstance(base, _Indexable):
        return Pending(text)
    try:
        return base[key]
    except (TypeError, KeyError, IndexError):
        return Pending(text)


def _parts_of(key: object) -> tuple[object, ...]:
    return key if isinstance(key, tuple) else (key,)


def _indexed(
    run: Run,
    base: Tensor | Pending,
    key: object,
    expression: ast.Subscript,
    frame: Frame,
    evaluation: RecordedCall | None,
) -> object:
    text = frame.text_of(expression)
    node = run.leaves.operand(base, text)
    assert node is not None
    try:
        if run.formulas.shape(node) is None:
            raise CannotReadError("the shape of what is indexed is not known")
        arrays = _arrays_in(run, key, expression.slice, frame)
        if arrays:
            made = run.formulas.make("pick", node, *arrays)
        else:
            made = run.formulas.make("index", node, key=node_key(key))
    except CannotReadError:
        return run.unknown(text, evaluation)
    return run.recorded_as(made, evaluation)


def _arrays_in(run: Run, key: object, expression: ast.expr, frame: Frame) -> list[Node]:
    """The indices where a key is integer arrays along the first axes; empty where none is one.

    Raises:
        CannotReadError: it has another form.
    """
    values = _parts_of(key)
    parts = expression.elts if isinstance(expression, ast.Tuple) else [expression]
    if not any(isinstance(value, _ARRAYS) for value in values):
        return []
    if len(values) != len(parts) or not all(isinstance(value, _ARRAYS) for value in values):
        raise CannotReadError("a key of indices and slices")
    found: list[Node] = []
    for value, part in zip(values, parts, strict=True):
        text = frame.text_of(part)
        array = np.asarray(value) if isinstance(value, range | list) else value
        node = run.leaves.operand(array, text)
        dtype = None if node is None else run.formulas.dtypes.get(node)
        if node is None or not str(dtype).startswith(("int", "uint")):
            raise CannotReadError("an index that is not an integer")
        found.append(node)
    return found


def key_of(run: Run, expression: ast.expr, frame: Frame) -> object:
    """The key of a subscript: slices of values."""
    if isinstance(expression, ast.Slice):
        parts = (expression.lower, expression.upper, expression.step)
        values = [None if part is None else run.evaluate(part, frame) for part in parts]
        return slice(*values)
    if isinstance(expression, ast.Tuple):
        return tuple(key_of(run, part, frame) for part in expression.elts)
    return run.evaluate(expression, frame)


def taken_apart(
    run: Run, call: Call, function: object, name: str, operands: Sequence[object]
) -> list[object] | None:
    """The parts of a tensor that a call takes apart along an axis.

    Args:
        run: The run.
        call: The call.
        function: The function that is called; None for a method of a tensor.
        name: Its name.
        operands: The arguments by position, the tensor first.
    """
    if not operands or not isinstance(operands[0], Tensor | Pending):
        return None
    tensor, *positional = operands
    asked = creation.num_parts(function, name, positional, call.named)
    if asked is None:
        return None
    count, axis, goes = asked
    shape = run.shape_of(tensor, call.frame)
    if not shape or not -len(shape) <= axis < len(shape):
        return None
    node = run.leaves.operand(tensor, name)
    assert node is not None
    axis %= len(shape)
    before: tuple[Hashable, ...] = (("slice", None, None, None),) * axis
    count = shape[axis] if count is None else count
    if count < 1 or shape[axis] % count:
        return None
    length = shape[axis] // count
    keys: list[Hashable] = [
        i if goes else ("slice", i * length, (i + 1) * length, None) for i in range(count)
    ]
    return [Tensor(run.formulas.make("index", node, key=(*before, key))) for key in keys]


def _is_called(expression: ast.expr, frame: Frame) -> bool:
    parent = frame.source.parents.get(expression)
    return isinstance(parent, ast.Call) and parent.func is expression
