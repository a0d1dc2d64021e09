"""Values that a mask discards, and rows that a mask discards as a whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from stayfinite.numerics import functions
from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import FormWritten, NewForm
from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.rewrites import guards
from stayfinite.repair.rewrites.clamp import Clamp
from stayfinite.repair.rewrites.site import Site, Template, spelled
from stayfinite.repair.scope import dotted, enclosing_function

_KEEPS_ZERO = {"abs", "multiply", "power", "sinh", "sqrt", "square"}


class _Choice(NamedTuple):
    condition: ast.expr
    keeps_true: bool  # the failing expression is what is taken where the condition is true


def masked_branch(site: Site) -> Iterator[Template]:
    """A harmless operand where `where` discards the result, then guards.

    `where(c, log(x), 0.0)` -> `where(c, log(where(c, x, 1.0)), 0.0)`: the value does not change,
    and neither branch has a bad derivative to multiply by 0.
    """
    operation = site.operation
    function = None if operation is None else functions.row(operation.name)
    if operation is not None and function is not None and function.harmless is not None:
        operand, choice = operation.critical, _choice(site)
        if operand is not None and choice is not None:
            yield _double_where(site, operation, operand, repr(function.harmless), choice)
    yield from _earlier_nan_to_num(site)
    yield from guards.rewrites(site)


def fully_masked_row(site: Site) -> Iterator[Template]:
    """Scores that are kept finite, so that the softmax of the row is uniform, then guards."""
    operation = site.operation
    if operation is None:
        return
    if operation.name in ("softmax", "log_softmax", "logsumexp"):
        bound = f"-{site.limits.score}"
        pieces = Clamp(site, operation, operation.arguments["x"]).at_least(bound)
        finite = FormWritten(NewForm.FINITE_OPERAND, spelled(operation))
        yield site.rewrite("guard", finite, pieces)
    yield from _finite_mask(site)
    yield from guards.rewrites(site, guards.DIVISION)
    yield from guards.rewrites(site, guards.LOGARITHM)


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
    operand = operation.arguments.get("x")
    if name is None or operand is None:
        return
    if operation.is_receiver(operand):
        _, end = site.source.grouped_range(operand)
        pieces = [Replacement(end, end, ".nan_to_num()")]  # a tensor of PyTorch's
    else:
        pieces = site.wrap(operand, lambda x: f"{site.text(name)}({x})")
    earlier = FormWritten(NewForm.EARLIER_NAN_TO_NUM, spelled(operation))
    yield site.rewrite("nan-to-num", earlier, pieces)


def _double_where(
    site: Site, operation: Operation, operand: ast.expr, harmless: str, choice: _Choice
) -> Template:
    condition, x = site.text(choice.condition), site.text(operand)
    other = site.calls.constant_like(harmless, x)
    branches = (x, other) if choice.keeps_true else (other, x)
    start, end = site.source.grouped_range(operand)
    pieces = [Replacement(start, end, site.calls("where", condition, *branches))]
    does = FormWritten(NewForm.HARMLESS_OPERAND, spelled(operation), harmless)
    return site.rewrite("double-where", does, pieces)


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
    branches = [operation.arguments.get(side) for side in ("x", "y")]
    if condition is None or child not in branches or not site.is_repeatable(condition):
        return None
    return _Choice(condition, child is branches[0])


def _is_known(site: Site, condition: ast.expr) -> bool:
    """Whether the condition can be written above, where the failing expression stands."""
    names = (node.id for node in ast.walk(condition) if isinstance(node, ast.Name))
    return all(site.locals.is_bound_before(name, site.node) for name in names)


def _finite_mask(site: Site) -> Iterator[Template]:
    """The infinities of the function that makes the mask -> a number that softmax makes 0 of."""
    function = enclosing_function(site.source, site.node)
    number = site.limits.score
    pieces = [
        site.replace(node, sign + number)
        for node in ast.walk(function or site.source.tree)
        if isinstance(node, ast.expr) and (sign := _sign_of_infinity(site, node)) is not None
    ]
    if pieces:
        finite = FormWritten(NewForm.FINITE_MASK, number=f"-{number}")
        yield site.rewrite("mask", finite, pieces)


def _sign_of_infinity(site: Site, node: ast.expr) -> str | None:
    """The sign inside `np.inf`, `math.inf`, `float("-inf")` or a name for one of them.

    A sign before it stays there. None for any other expression.
    """
    if isinstance(node, ast.Call) and len(node.args) == 1:
        word = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        spelled = word.strip().lower() if isinstance(word, str) else ""
        if spelled.lstrip("+-") not in ("inf", "infinity"):
            return None
        return "-" if spelled.startswith("-") else ""
    if isinstance(node, ast.Name):
        return _sign_of_named(site, node.id) if isinstance(node.ctx, ast.Load) else None
    path = site.scope.path(node) if isinstance(node, ast.Attribute) else None
    return "" if path is not None and path.rpartition(".")[2] == "inf" else None


def _sign_of_named(site: Site, name: str) -> str | None:
    """As `_sign_of_infinity`, of what the file says that a name is."""
    values = [
        statement.value
        for statement in site.source.tree.body
        if isinstance(statement, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
    ]
    if len(values) != 1:
        return None
    value, before = values[0], ""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        value, before = value.operand, "-"
    sign = None if isinstance(value, ast.Name) else _sign_of_infinity(site, value)
    return None if sign is None else "-" if sign != before else ""
