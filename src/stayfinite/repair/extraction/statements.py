"""The effect of each kind of statement."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence

from stayfinite.repair.extraction.assignments import assign, augmented
from stayfinite.repair.extraction.calls import closure
from stayfinite.repair.extraction.run import GivesUpError, Run
from stayfinite.repair.extraction.values import Frame, Pending


class _Returned(Exception):
    def __init__(self, value: object) -> None:
        self.value = value


class _Left(Exception):
    """`break` or `continue`."""

    def __init__(self, again: bool) -> None:
        self.again = again


def returned(run: Run, statements: Sequence[ast.stmt], frame: Frame) -> object:
    """What the body of a function returns."""
    try:
        _block(run, statements, frame)
    except _Returned as left:
        return left.value
    return None


def _block(run: Run, statements: Sequence[ast.stmt], frame: Frame) -> None:
    for statement in statements:
        with run.moment(frame, statement):
            _execute(run, statement, frame)


def _execute(run: Run, statement: ast.stmt, frame: Frame) -> None:
    if isinstance(statement, ast.Assign):
        value = run.evaluate(statement.value, frame)
        for target in statement.targets:
            assign(run, target, value, frame)
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        assign(run, statement.target, run.evaluate(statement.value, frame), frame)
    elif isinstance(statement, ast.AugAssign):
        augmented(run, statement, frame)
    elif isinstance(statement, ast.Return):
        value = None if statement.value is None else run.evaluate(statement.value, frame)
        raise _Returned(value)
    elif isinstance(statement, ast.Expr):
        run.evaluate(statement.value, frame)
    elif isinstance(statement, ast.If):
        _block(run, _branch(run, statement, frame), frame)
    elif isinstance(statement, ast.For):
        _for(run, statement, frame)
    elif isinstance(statement, ast.While):
        _while(run, statement, frame)
    elif isinstance(statement, ast.With):
        _with(run, statement, frame)
    elif isinstance(statement, ast.Try):
        _block(run, [*statement.body, *statement.orelse, *statement.finalbody], frame)
    elif isinstance(statement, ast.FunctionDef):
        frame.names[statement.name] = closure(run, statement, frame)
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        _import(statement, frame)
    elif isinstance(statement, ast.Break | ast.Continue):
        raise _Left(again=isinstance(statement, ast.Continue))
    elif isinstance(statement, ast.Raise):
        raise GivesUpError("the function raises an exception")
    elif not isinstance(statement, ast.Pass | ast.Assert | ast.Global | ast.Nonlocal):
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                frame.names[node.id] = Pending(node.id)


def _branch(run: Run, statement: ast.If, frame: Frame) -> list[ast.stmt]:
    truth = run.truth(run.evaluate(statement.test, frame))
    if truth is None:
        truth = run.decide(frame, statement.body[0], statement.body[-1])
    return statement.body if truth else statement.orelse


def _for(run: Run, statement: ast.For, frame: Frame) -> None:
    for item in run.items(run.evaluate(statement.iter, frame)):
        run.count()
        assign(run, statement.target, item, frame)
        try:
            _block(run, statement.body, frame)
        except _Left as left:
            if not left.again:
                return
    _block(run, statement.orelse, frame)


def _while(run: Run, statement: ast.While, frame: Frame) -> None:
    while True:
        run.count()
        truth = run.truth(run.evaluate(statement.test, frame))
        if truth is None:
            raise GivesUpError("the end of a loop depends on a tensor")
        if not truth:
            return
        try:
            _block(run, statement.body, frame)
        except _Left as left:
            if not left.again:
                return


def _with(run: Run, statement: ast.With, frame: Frame) -> None:
    for item in statement.items:
        value = run.evaluate(item.context_expr, frame)
        if item.optional_vars is not None:
            assign(run, item.optional_vars, value, frame)
    _block(run, statement.body, frame)


def _import(statement: ast.Import | ast.ImportFrom, frame: Frame) -> None:
    for alias in statement.names:
        name = alias.asname or alias.name.partition(".")[0]
        if isinstance(statement, ast.ImportFrom):
            module = sys.modules.get(statement.module or "")
            frame.names[name] = getattr(module, alias.name, Pending(name))
        else:
            path = alias.name if alias.asname else name
            frame.names[name] = sys.modules.get(path, Pending(name))
