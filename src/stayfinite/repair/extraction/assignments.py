"""Assignments to names, elements and attributes."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from stayfinite.repair.extraction.operators import OPERATORS, operator
from stayfinite.repair.extraction.parts import key_of
from stayfinite.repair.extraction.run import GivesUpError, Run
from stayfinite.repair.extraction.values import Frame, Pending


def assign(run: Run, target: ast.expr, value: object, frame: Frame) -> None:
    """`target = value`.

    Raises:
        GivesUpError: the value has another number of parts than the target.
    """
    if isinstance(target, ast.Name):
        frame.names[target.id] = value
    elif isinstance(target, ast.Tuple | ast.List):
        star = [i for i, t in enumerate(target.elts) if isinstance(t, ast.Starred)]
        if star:
            items = run.items(value)
            after = len(target.elts) - star[0] - 1
            middle = items[star[0] : len(items) - after]
            items = [*items[: star[0]], middle, *items[len(items) - after :]]
        else:
            items = run.items(value, len(target.elts))
        if len(items) != len(target.elts):
            raise GivesUpError("a value has another number of parts than expected")
        for part, item in zip(target.elts, items, strict=True):
            inner = part.value if isinstance(part, ast.Starred) else part
            assign(run, inner, item, frame)
    elif isinstance(target, ast.Subscript):
        container = run.evaluate(target.value, frame)
        key = key_of(run, target.slice, frame)
        if isinstance(container, list | dict) and run.owns(container):
            _store(container, key, value)
        elif isinstance(target.value, ast.Name):
            # Part of a tensor is written: no formula for it.
            frame.names[target.value.id] = Pending(target.value.id)
    elif isinstance(target, ast.Attribute):
        run.attributes[id(run.evaluate(target.value, frame)), target.attr] = value


def augmented(run: Run, statement: ast.AugAssign, frame: Frame) -> None:
    """`target += value`, and the other operators: a new value for the same name."""
    target = statement.target
    read = ast.copy_location(_loaded(target), target)
    left = run.evaluate(read, frame)
    right = run.evaluate(statement.value, frame)
    name, function = OPERATORS[type(statement.op)]
    value = operator(run, name, function, [left, right], statement, frame)
    assign(run, target, value, frame)


def _store(container: list[object] | dict[object, object], key: object, value: object) -> None:
    if isinstance(container, dict):
        container[key] = value
        return
    try:
        if isinstance(key, slice) and isinstance(value, Iterable):
            container[key] = value
            return
        if isinstance(key, int):
            container[key] = value
            return
    except (IndexError, ValueError) as error:
        raise GivesUpError(str(error)) from error
    raise GivesUpError("an element of a list has no known place")


def _loaded(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    if isinstance(target, ast.Attribute):
        return ast.Attribute(target.value, target.attr, ast.Load())
    assert isinstance(target, ast.Subscript)
    return ast.Subscript(target.value, target.slice, ast.Load())
