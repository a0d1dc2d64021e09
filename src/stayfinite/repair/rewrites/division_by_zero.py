"""The divisor is 0: keep it above 0 where it has no sign, else divide by 1 there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import guards, singular_gradient, stable
from stayfinite.repair.rewrites.limits import power_floor
from stayfinite.repair.rewrites.power import guard_base, one_where_zero_base
from stayfinite.repair.rewrites.site import Site, Template, spelled


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    operation = site.operation
    if operation is None:
        return
    if operation.name == "divide" and (divisor := operation.arguments.get("right")) is not None:
        yield from stable.rewrites(site)
        yield from _divide(site, operation, divisor)
    elif operation.name == "reciprocal":
        yield from _divide(site, operation, operation.arguments["x"])
    elif operation.name == "rsqrt":
        emit, x = site.emitter(), operation.arguments["x"]
        bound = power_floor(site.facts.dtype, -0.5)
        pieces = guards.at_least(site, emit, operation, x, bound)
        description = f"keep the argument of `{spelled(operation)}` above 0"
        yield site.rewrite("guard", description, pieces, emit)
    elif operation.name == "power":
        yield from _power(site, operation)


def _divide(site: Site, operation: Operation, divisor: ast.expr) -> Iterator[Template]:
    if site.number(divisor) is not None:
        return
    yield from _root(site, divisor)
    if _has_no_sign(site):
        for bound in dict.fromkeys((site.limits.divisor, site.limits.lowest)):
            yield _guard(site, operation, divisor, bound)
    emit = site.emitter()
    pieces = guards.one_where_zero(site, emit, divisor)
    yield site.rewrite("where", "divide by 1 where the divisor is 0", pieces, emit)


def _root(site: Site, divisor: ast.expr) -> Iterator[Template]:
    """A length or a deviation that is 0 has no derivative either: one guard inside mends both."""
    root = Site(site.source, site.locals.value(divisor), site.facts)
    if root.operation is not None and root.operation.name in ("sqrt", "norm", "std", "hypot"):
        for rewrite in singular_gradient.rewrites(root):
            yield replace(rewrite, kind="root")


def _guard(site: Site, operation: Operation, divisor: ast.expr, bound: str) -> Template:
    emit = site.emitter()
    pieces = guards.at_least(site, emit, operation, divisor, bound)
    return site.rewrite("guard", "keep the divisor above 0", pieces, emit)


def _power(site: Site, operation: Operation) -> Iterator[Template]:
    exponent = site.number(operation.arguments.get("right"))
    if exponent is None or exponent >= 0:
        return
    if _has_no_sign(site) or exponent != int(exponent):
        yield guard_base(site, operation, power_floor(site.facts.dtype, exponent))
    yield one_where_zero_base(site, operation)


def _has_no_sign(site: Site) -> bool:
    return site.facts.minimum is not None and site.facts.minimum >= 0
