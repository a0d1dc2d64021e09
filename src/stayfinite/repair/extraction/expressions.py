"""The value of each kind of expression."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence

from stayfinite.repair.extraction import natives
from stayfinite.repair.extraction.assignments import assign
from stayfinite.repair.extraction.calls import call_expression, closure
from stayfinite.repair.extraction.operators import OPERATORS, UNARY_OPERATORS, operator
from stayfinite.repair.extraction.parts import attribute, subscript
from stayfinite.repair.extraction.run import Run
from stayfinite.repair.extraction.values import Frame, Pending


def value_of(run: Run, expression: ast.expr, frame: Frame) -> object:
    """The value of an expression; unknown where it is of another kind."""
    match expression:
        case ast.Constant():
            return expression.value
        case ast.Name():
            return _lookup(run, expression.id, frame)
        case ast.Attribute():
            return attribute(run, expression, frame)
        case ast.Subscript():
            return subscript(run, expression, frame)
        case ast.Call():
            return call_expression(run, expression, frame)
        case ast.BinOp():
            return _binop(run, expression, frame)
        case ast.UnaryOp():
            return _unaryop(run, expression, frame)
        case ast.Compare():
            return _compare(run, expression, frame)
        case ast.BoolOp():
            return _boolop(run, expression, frame)
        case ast.IfExp():
            return _ifexp(run, expression, frame)
        case ast.NamedExpr():
            return _namedexpr(run, expression, frame)
        case ast.Lambda():
            return closure(run, expression, frame)
        case ast.Tuple():
            return tuple(_elements(run, expression.elts, frame))
        case ast.List():
            return run.keep(_elements(run, expression.elts, frame))
        case ast.Set():
            return run.keep(set(_elements(run, expression.elts, frame)))
        case ast.Dict():
            return _dict(run, expression, frame)
        case ast.ListComp() | ast.GeneratorExp():
            loops = _loops(run, expression.generators, frame)
            return run.keep([run.evaluate(expression.elt, frame) for _ in loops])
        case ast.SetComp():
            loops = _loops(run, expression.generators, frame)
            return run.keep({run.evaluate(expression.elt, frame) for _ in loops})
        case ast.DictComp():
            loops = _loops(run, expression.generators, frame)
            key, value = expression.key, expression.value
            return run.keep({run.evaluate(key, frame): run.evaluate(value, frame) for _ in loops})
        case _:
            return Pending(ast.unparse(expression))


def _lookup(run: Run, name: str, frame: Frame) -> object:
    around: Frame | None = frame
    while around is not None:
        if name in around.names:
            value = around.names[name]
            if value is None or isinstance(value, bool):
                return run.given(name, value, around)
            return value
        if name in around.cells:
            return run.adopted(around.cells[name], name)
        around = around.outer
    if name in frame.globals:
        return run.adopted(frame.globals[name], name)
    if name in run.added_names:
        return run.added_names[name]
    return getattr(builtins, name, Pending(name))


def _binop(run: Run, expression: ast.BinOp, frame: Frame) -> object:
    name, function = OPERATORS[type(expression.op)]
    operands = [run.evaluate(side, frame) for side in (expression.left, expression.right)]
    return operator(run, name, function, operands, expression, frame)


def _unaryop(run: Run, expression: ast.UnaryOp, frame: Frame) -> object:
    value = run.evaluate(expression.operand, frame)
    if isinstance(expression.op, ast.Not):
        truth = run.truth(value)
        return Pending(frame.text_of(expression)) if truth is None else not truth
    name, function = UNARY_OPERATORS[type(expression.op)]
    return operator(run, name, function, [value], expression, frame)


def _compare(run: Run, expression: ast.Compare, frame: Frame) -> object:
    operands = [run.evaluate(e, frame) for e in (expression.left, *expression.comparators)]
    if len(expression.ops) == 1:
        name, function = OPERATORS[type(expression.ops[0])]
        return operator(run, name, function, operands, expression, frame)
    value: object = True
    for op, left, right in zip(expression.ops, operands[:-1], operands[1:], strict=True):
        if not (natives.is_plain(left) and natives.is_plain(right)):
            return Pending(frame.text_of(expression))
        value = value and OPERATORS[type(op)][1](left, right)
    return value


def _boolop(run: Run, expression: ast.BoolOp, frame: Frame) -> object:
    value: object = None
    for part in expression.values:
        value = run.evaluate(part, frame)
        truth = run.truth(value)
        if truth is None:
            return Pending(frame.text_of(expression))
        if truth is isinstance(expression.op, ast.Or):
            return value
    return value


def _ifexp(run: Run, expression: ast.IfExp, frame: Frame) -> object:
    truth = run.truth(run.evaluate(expression.test, frame))
    if truth is None:
        truth = run.decide(frame, expression.body, expression.body)
    return run.evaluate(expression.body if truth else expression.orelse, frame)


def _namedexpr(run: Run, expression: ast.NamedExpr, frame: Frame) -> object:
    value = run.evaluate(expression.value, frame)
    assign(run, expression.target, value, frame)
    return value


def _dict(run: Run, expression: ast.Dict, frame: Frame) -> object:
    found: dict[object, object] = {}
    for key, value in zip(expression.keys, expression.values, strict=True):
        made = run.evaluate(value, frame)
        if key is not None:
            found[run.evaluate(key, frame)] = made
        elif isinstance(made, dict):
            found.update(made)
    return run.keep(found)


def _elements(run: Run, parts: Sequence[ast.expr], frame: Frame) -> list[object]:
    found: list[object] = []
    for part in parts:
        if isinstance(part, ast.Starred):
            found += run.items(run.evaluate(part.value, frame))
        else:
            found.append(run.evaluate(part, frame))
    return found


def _loops(run: Run, generators: Sequence[ast.comprehension], frame: Frame) -> Iterator[None]:
    """The iterations of a comprehension, whose names are gone at its end."""
    before = dict(frame.names)
    yield from _inner_loops(run, generators, frame)
    frame.names.clear()
    frame.names.update(before)


def _inner_loops(run: Run, generators: Sequence[ast.comprehension], frame: Frame) -> Iterator[None]:
    if not generators:
        with run.moment(frame, run.moments[-1].statement):
            yield
        return
    first, *rest = generators
    for item in run.items(run.evaluate(first.iter, frame)):
        assign(run, first.target, item, frame)
        if all(run.truth(run.evaluate(test, frame)) for test in first.ifs):
            yield from _inner_loops(run, rest, frame)
