"""A row of scores that is all -inf: keep the scores finite, and the softmax of the row is even."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.rewrites import division_by_zero, guards, log_of_zero
from stayfinite.repair.rewrites.site import Rewrite, Site, spelled
from stayfinite.repair.scope import enclosing_function


def _finite_mask(site: Site) -> Iterator[Rewrite]:
    """The infinities of the function that makes the mask -> a number that softmax makes 0 of."""
    function = enclosing_function(site.source, site.node)
    number = "3e4" if site.facts.dtype == "float16" else "1e9"
    pieces = [
        site.replace(node, number)
        for node in ast.walk(function or site.source.tree)
        if isinstance(node, ast.expr) and _is_infinity(site, node)
    ]
    if pieces:
        yield site.rewrite("mask", f"mask with -{number}, which is finite", pieces, site.emitter())


def _is_infinity(site: Site, node: ast.expr) -> bool:
    """`np.inf`, `math.inf`, `float("inf")`; their sign stays before them."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        word = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
        return isinstance(word, str) and word.strip().lower() in ("inf", "+inf", "infinity")
    path = site.scope.path(node) if isinstance(node, ast.Attribute) else None
    return path is not None and path.rpartition(".")[2] == "inf"


def rewrites(site: Site) -> Iterator[Rewrite]:
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
