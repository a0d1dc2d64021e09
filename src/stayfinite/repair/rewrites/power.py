"""Bounds for the base of a power, in its three spellings: a call, `x ** p` and `x **= p`."""

from __future__ import annotations

import ast

from stayfinite.repair.edit import Replacement
from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import guards
from stayfinite.repair.rewrites.site import Site, Template, spelled


def guard_base(site: Site, operation: Operation, bound: str) -> Template:
    """The base of the power with every element at least `bound`."""
    emit, base = site.emitter(), operation.arguments["left"]
    if isinstance(site.node, ast.AugAssign):
        pieces = assign(site, emit.at_least(site.text(base), bound), "**")
    else:
        pieces = guards.at_least(site, emit, operation, base, bound)
    return site.rewrite("guard", f"keep the base of `{spelled(operation)}` above 0", pieces, emit)


def signed(site: Site, operation: Operation, bound: str) -> Template | None:
    """The power of the size of its base, with the sign of it; None where it is `x **= p`."""
    if isinstance(site.node, ast.AugAssign):
        return None
    emit, base = site.emitter(), operation.arguments["left"]
    first, again = site.twice(base, "base")
    sign, size = emit.call("sign", first), emit.at_least(emit.call("abs", again), bound)
    (start, end), (left, right) = site.source.range_of(site.node), site.source.grouped_range(base)
    text = f"{sign} * {site.source.text[start:left]}{size}{site.source.text[right:end]}"
    pieces = [site.replace(site.node, text, is_atom=False)]
    description = f"take `{spelled(operation)}` of the size of the base, and keep its sign"
    return site.rewrite("signed", description, pieces, emit)


def bound_base(site: Site, operation: Operation, bound: str) -> Template:
    """The base of the power with every element between `-bound` and `bound`."""
    emit, base = site.emitter(), operation.arguments["left"]
    bounds = (f"-{bound}", bound)
    if isinstance(site.node, ast.AugAssign):
        pieces = assign(site, emit.call("clip", site.text(base), *bounds), "**")
    else:
        pieces = guards.between(site, emit, operation, base, bounds)
    size = bound.removesuffix(".0")
    description = f"keep the base of `{spelled(operation)}` between -{size} and {size}"
    return site.rewrite("clip", description, pieces, emit)


def one_where_zero_base(site: Site, operation: Operation) -> Template:
    """The base of a negative power with every 0 made 1."""
    emit, base = site.emitter(), operation.arguments["left"]
    if isinstance(site.node, ast.AugAssign):
        text = site.text(base)
        pieces = assign(site, emit.one_where_zero(text, text), "**")
    else:
        pieces = guards.one_where_zero(site, emit, base)
    description = f"use 1 as the base of `{spelled(operation)}` where it is 0"
    return site.rewrite("where", description, pieces, emit)


def assign(site: Site, left: str, operator: str) -> list[Replacement]:
    """`x **= p` -> `x = left ** p`."""
    if not isinstance(site.node, ast.AugAssign):
        raise TypeError("expected an augmented assignment")
    target_end = site.source.range_of(site.node.target)[1]
    value_end = site.source.grouped_range(site.node.value)[1]
    value = site.atom(site.node.value)
    return [Replacement(target_end, value_end, f" = {left} {operator} {value}")]
