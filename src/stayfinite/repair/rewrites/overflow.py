"""One operation leaves the range of its dtype: use the stable function, else bound its operand."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import guards, stable
from stayfinite.repair.rewrites.limits import power_ceiling
from stayfinite.repair.rewrites.power import bound_base
from stayfinite.repair.rewrites.site import Rewrite, Site, spelled


def rewrites(site: Site) -> Iterator[Rewrite]:
    """The repairs of one operation, best first."""
    yield from stable.rewrites(site)
    operation = site.operation
    if operation is None:
        return
    if operation.name in ("exp", "expm1"):
        emit, bound = site.emitter(), site.limits.exponent
        pieces = guards.at_most(site, emit, operation, operation.arguments["x"], bound)
        description = (
            f"keep the argument of `{spelled(operation)}` below {bound.removesuffix('.0')}"
        )
        yield site.rewrite("clip", description, pieces, emit)
    elif operation.name in ("sinh", "cosh"):
        yield _between(site, operation, site.limits.exponent)
    elif operation.name == "square":
        yield _between(site, operation, power_ceiling(site.facts.dtype, 2.0))
    elif operation.name == "power":
        exponent = site.number(operation.arguments.get("right"))
        if exponent is not None and exponent > 1:
            yield bound_base(site, operation, power_ceiling(site.facts.dtype, exponent))


def _between(site: Site, operation: Operation, bound: str) -> Rewrite:
    emit = site.emitter()
    bounds = (f"-{bound}", bound)
    pieces = guards.between(site, emit, operation, operation.arguments["x"], bounds)
    size = bound.removesuffix(".0")
    description = f"keep the argument of `{spelled(operation)}` between -{size} and {size}"
    return site.rewrite("clip", description, pieces, emit)
