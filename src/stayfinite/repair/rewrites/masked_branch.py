"""A branch that `where` throws away is non-finite: give it a harmless operand there.

`where(c, log(x), 0.0)` -> `where(c, log(where(c, x, 1.0)), 0.0)`: the value does not change, and
neither branch has a bad derivative to multiply by 0.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from stayfinite.numerics import functions
from stayfinite.repair.edit import Replacement
from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.rewrites import (
    division_by_zero,
    log_of_zero,
    overflow,
    singular_gradient,
)
from stayfinite.repair.rewrites.site import Site, Template, spelled
from stayfinite.repair.scope import dotted, enclosing_function

_KEEPS_ZERO = {"abs", "multiply", "power", "sinh", "sqrt", "square"}


class _Choice(NamedTuple):
    condition: ast.expr
    keeps_true: bool  # the failing expression is what is taken where the condition is true


def rewrites(site: Site) -> Iterator[Template]:
    """The double `where`, then what would repair the operation without a mask."""
    operation = site.operation
    function = None if operation is None else functions.row(operation.name)
    if operation is not None and function is not None and function.harmless is not None:
        role = "x" if "x" in operation.arguments else ("left", "right")[function.critical]
        operand, choice = operation.arguments.get(role), _choice(site)
        if operand is not None and choice is not None:
            yield _double_where(site, operation, operand, repr(function.harmless), choice)
    yield from _earlier_nan_to_num(site)
    for mechanism in (log_of_zero, division_by_zero, singular_gradient, overflow):
        yield from mechanism.rewrites(site)


def _earlier_nan_to_num(site: Site) -> Iterator[Template]:
    """`nan_to_num((x - y) ** 2)` -> `nan_to_num(nan_to_num(x - y) ** 2)`, for what keeps a 0."""
    operation = site.operation
    function = enclosing_function(site.source, site.node)
    if operation is None or operation.name not in _KEEPS_ZERO or function is None:
        return
    name = next(
        (
            call.func
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and (dotted(call.func) or [""])[-1] == "nan_to_num"
        ),
        None,
    )
    operand = operation.arguments.get("x") or operation.arguments.get("left")
    if name is None or operand is None:
        return
    if operation.is_receiver(operand):
        _, end = site.source.grouped_range(operand)
        pieces = [Replacement(end, end, ".nan_to_num()")]  # a tensor of PyTorch's
    else:
        pieces = site.wrap(operand, lambda x: f"{site.text(name)}({x})")
    description = f"take NaN out before `{spelled(operation)}`, not after it"
    yield site.rewrite("nan-to-num", description, pieces, site.emitter())


def _double_where(
    site: Site, operation: Operation, operand: ast.expr, harmless: str, choice: _Choice
) -> Template:
    emit = site.emitter()
    condition, x = site.text(choice.condition), site.text(operand)
    other = emit.constant_like(harmless, x)
    branches = (x, other) if choice.keeps_true else (other, x)
    start, end = site.source.grouped_range(operand)
    pieces = [Replacement(start, end, emit.call("where", condition, *branches))]
    description = f"give `{spelled(operation)}` {harmless} wherever `where` discards its result"
    return site.rewrite("double-where", description, pieces, emit)


def _choice(site: Site) -> _Choice | None:
    """The innermost `where` that the expression is a branch of."""
    top: ast.AST = site.node
    for parent in site.source.expressions_around(site.node):
        if (choice := _branch_of(site, parent, top)) is not None:
            return choice
        top = parent
    for use in site.locals.uses(top):
        child: ast.AST = use
        for parent in site.source.expressions_around(use):
            choice = _branch_of(site, parent, child)
            if choice is not None and _is_known(site, choice.condition):
                return choice
            child = parent
    return None


def _branch_of(site: Site, parent: ast.expr, child: ast.AST) -> _Choice | None:
    operation = recognise(site.scope, parent)
    if operation is None or operation.name != "where":
        return None
    condition = operation.arguments.get("condition")
    branches = [operation.arguments.get(side) for side in ("left", "right")]
    if condition is None or child not in branches or not site.is_repeatable(condition):
        return None
    return _Choice(condition, child is branches[0])


def _is_known(site: Site, condition: ast.expr) -> bool:
    """Whether the condition can be written above, where the failing expression stands."""
    names = (node.id for node in ast.walk(condition) if isinstance(node, ast.Name))
    return all(site.locals.is_bound_before(name, site.node) for name in names)
