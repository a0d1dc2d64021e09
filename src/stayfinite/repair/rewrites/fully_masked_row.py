"""A row of scores that is all -inf: keep the scores finite, and the softmax of the row is even."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.rewrites import division_by_zero, guards, log_of_zero
from stayfinite.repair.rewrites.site import Site, Template, spelled
from stayfinite.repair.scope import enclosing_function


def _finite_mask(site: Site) -> Iterator[Template]:
    """The infinities of the function that makes the mask -> a number that softmax makes 0 of."""
    function = enclosing_function(site.source, site.node)
    number = "3e4" if site.facts.dtype == "float16" else "1e9"
    pieces = [
        site.replace(node, sign + number)
        for node in ast.walk(function or site.source.tree)
        if isinstance(node, ast.expr) and (sign := _sign_of_infinity(site, node)) is not None
    ]
    if pieces:
        yield site.rewrite("mask", f"mask with -{number}, which is finite", pieces, site.emitter())


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


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    operation = site.operation
    if operation is None:
        return
    if operation.name in ("softmax", "log_softmax", "logsumexp"):
        emit, x = site.emitter(), operation.arguments["x"]
        bound = "-3e4" if site.facts.dtype == "float16" else "-1e9"
        pieces = guards.at_least(site, emit, operation, x, bound)
        description = f"keep the scores that `{spelled(operation)}` sees finite"
        yield site.rewrite("guard", description, pieces, emit)
    yield from _finite_mask(site)
    yield from division_by_zero.rewrites(site)
    yield from log_of_zero.rewrites(site)
