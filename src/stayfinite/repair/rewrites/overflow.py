"""One operation leaves the range of its dtype: use the stable function, else bound its operand."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import factors, guards, stable
from stayfinite.repair.rewrites.limits import power_ceiling
from stayfinite.repair.rewrites.power import bound_base
from stayfinite.repair.rewrites.site import Site, Template, spelled

_MODEST = "20.0"


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    yield from stable.rewrites(site)
    yield from factors.rewrites(site)
    operation = site.operation
    if operation is None:
        return
    if operation.name in ("exp", "expm1"):
        # The lower bound is for what is squared, or multiplied by something large, later on.
        bounds = (site.limits.exponent, _MODEST)
        for bound in bounds if float(_MODEST) < float(bounds[0]) else bounds[:1]:
            emit = site.emitter()
            pieces = guards.at_most(site, emit, operation, operation.arguments["x"], bound)
            size = bound.removesuffix(".0")
            description = f"keep the argument of `{spelled(operation)}` below {size}"
            yield site.rewrite("clip", description, pieces, emit)
    elif operation.name in ("cumprod", "prod"):
        yield from _product(site, operation)
    elif operation.name in ("sinh", "cosh"):
        yield _between(site, operation, site.limits.exponent)
    elif operation.name == "square":
        yield _between(site, operation, power_ceiling(site.facts.dtype, 2.0))
    elif operation.name == "power":
        exponent = site.number(operation.arguments.get("right"))
        if exponent is not None and exponent > 1:
            yield bound_base(site, operation, power_ceiling(site.facts.dtype, exponent))


def _product(site: Site, operation: Operation) -> Iterator[Template]:
    """A product of many positive numbers, as a sum of logarithms that is kept in range."""
    if site.facts.minimum is None or site.facts.minimum <= 0 or operation.style == "operator":
        return
    emit, x = site.emitter(), operation.arguments["x"]
    total = "cumsum" if operation.name == "cumprod" else "sum"
    axis = operation.arguments.get("axis")
    options = {"axis": site.text(axis)} if axis is not None else {}
    logs = emit.call(total, emit.call("log", site.text(x)), **options)
    text = emit.call("exp", emit.at_most(logs, site.limits.exponent))
    yield site.rewrite(
        "logs",
        f"compute `{spelled(operation)}` from logarithms, and keep it in range",
        [site.replace(operation.call, text)],
        emit,
    )


def _between(site: Site, operation: Operation, bound: str) -> Template:
    emit = site.emitter()
    bounds = (f"-{bound}", bound)
    pieces = guards.between(site, emit, operation, operation.arguments["x"], bounds)
    size = bound.removesuffix(".0")
    description = f"keep the argument of `{spelled(operation)}` between -{size} and {size}"
    return site.rewrite("clip", description, pieces, emit)
