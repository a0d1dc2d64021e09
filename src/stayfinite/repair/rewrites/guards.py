"""Keeping an operand inside the domain where a function and its derivative are finite."""

from __future__ import annotations

import ast
from collections.abc import Callable

from stayfinite.repair.edit import Replacement
from stayfinite.repair.emit import Emitter
from stayfinite.repair.operation import Operation, recognise
from stayfinite.repair.rewrites.site import Site

_ONE = "1.0"


def at_least(
    site: Site, emit: Emitter, operation: Operation, operand: ast.expr, bound: str
) -> list[Replacement]:
    """`operand` with every element at least `bound`.

    A smaller epsilon that the user added, or a smaller bound that he set, gives way to ours: it
    was the guard that did not hold. A number of things has no values between 0 and 1.
    """
    if site.facts.counts:
        bound = _ONE
    if (literal := _small_lower_bound(site, operand, bound)) is not None:
        return [Replacement(*site.source.range_of(literal), bound)]
    inner = _without_small_constant(site, operand, bound)
    return _kept(site, operation, operand, f"min={bound}", lambda x: emit.at_least(x, bound), inner)


def not_below(
    site: Site, emit: Emitter, operation: Operation, operand: ast.expr, bound: str
) -> list[Replacement]:
    """`operand` with every element at least `bound`, which is no epsilon."""
    return _kept(site, operation, operand, f"min={bound}", lambda x: emit.at_least(x, bound))


def at_most(
    site: Site, emit: Emitter, operation: Operation, operand: ast.expr, bound: str
) -> list[Replacement]:
    """`operand` with every element at most `bound`."""
    return _kept(site, operation, operand, f"max={bound}", lambda x: emit.at_most(x, bound))


def between(
    site: Site, emit: Emitter, operation: Operation, operand: ast.expr, bounds: tuple[str, str]
) -> list[Replacement]:
    """`operand` with every element inside `bounds`."""
    return _kept(
        site, operation, operand, ", ".join(bounds), lambda x: emit.call("clip", x, *bounds)
    )


def one_where_zero(site: Site, emit: Emitter, operand: ast.expr) -> list[Replacement]:
    """`operand` with every 0 made 1."""
    tested, again = site.twice(operand, "divisor")
    start, end = site.source.grouped_range(operand)
    return [Replacement(start, end, emit.one_where_zero(tested, again))]


def _kept(
    site: Site,
    operation: Operation,
    operand: ast.expr,
    bounds: str,
    template: Callable[[str], str],
    inner: ast.expr | None = None,
) -> list[Replacement]:
    """`operand`, or its part `inner` while the rest goes, in `template` or with `.clamp(bounds)`.

    Only tensors of PyTorch have methods such as `x.sqrt()`, so they have `clamp` too.
    """
    inner = inner or operand
    if not operation.is_receiver(operand):
        return site.wrap(operand, template, inner)
    start, end = site.source.grouped_range(operand)
    if inner is operand:
        return [Replacement(end, end, f".clamp({bounds})")]
    return [Replacement(start, end, f"{site.atom(inner)}.clamp({bounds})")]


def _without_small_constant(site: Site, operand: ast.expr, bound: str) -> ast.expr:
    """`x` for `x + 1e-10`, if the constant is below `bound`."""
    operation = recognise(site.scope, operand)
    if operation is not None and operation.name == "add":
        left, right = operation.arguments["left"], operation.arguments["right"]
        for constant, rest in ((right, left), (left, right)):
            if _is_below(site, constant, bound):
                return rest
    return operand


def _small_lower_bound(site: Site, operand: ast.expr, bound: str) -> ast.expr | None:
    """The literal in `maximum(x, 1e-10)` or `clip(x, 1e-10, 1.0)`, if it is below `bound`."""
    operation = recognise(site.scope, operand)
    roles = {"maximum": ("left", "right"), "clip": ("minimum",)}
    for role in roles.get(operation.name, ()) if operation is not None else ():
        literal = operation.arguments.get(role) if operation is not None else None
        if literal is not None and _is_below(site, literal, bound):
            return literal
    return None


def _is_below(site: Site, literal: ast.expr, bound: str) -> bool:
    number = site.number(literal)
    return number is not None and not bound.startswith("-") and 0 <= number < float(bound)


def is_guarded(site: Site, operand: ast.expr) -> bool:
    """Whether the user already keeps `operand` away from 0, or it is a plain number."""
    if site.number(operand) is not None:
        return True
    operation = recognise(site.scope, operand)
    if operation is None or operation.name not in ("add", "maximum", "clip"):
        return False
    roles = ("minimum",) if operation.name == "clip" else ("left", "right")
    return any((site.number(operation.arguments.get(role)) or 0) > 0 for role in roles)
