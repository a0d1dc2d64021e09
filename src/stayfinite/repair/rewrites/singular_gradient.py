"""The value is finite and its derivative is not: keep the operand off the singular point."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stayfinite.numerics import functions
from stayfinite.repair.edit import Replacement
from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import guards, norms
from stayfinite.repair.rewrites.limits import power_floor
from stayfinite.repair.rewrites.power import guard_base, signed
from stayfinite.repair.rewrites.site import Site, Template, spelled


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    rule = _RULES.get(site.operation.name) if site.operation is not None else None
    if site.operation is not None and rule is not None:
        yield from rule(site, site.operation)


def _root(site: Site, operation: Operation) -> Iterator[Template]:
    emit = site.emitter()
    bound = power_floor(site.facts.dtype, 0.5 if operation.name == "sqrt" else -0.5)
    pieces = guards.at_least(site, emit, operation, operation.arguments["x"], bound)
    description = f"keep the argument of `{spelled(operation)}` above 0"
    yield site.rewrite("guard", description, pieces, emit)


def _power(site: Site, operation: Operation) -> Iterator[Template]:
    exponent = site.number(operation.arguments.get("right"))
    if exponent is not None and exponent >= 1:
        return
    bound = power_floor(site.facts.dtype, 0.5 if exponent is None else exponent)
    yield guard_base(site, operation, bound)
    if site.facts.minimum is not None and site.facts.minimum < 0:
        of_size = signed(site, operation, bound)
        if of_size is not None:
            yield of_size


def _std(site: Site, operation: Operation) -> Iterator[Template]:
    """`std(...)` -> `sqrt(maximum(var(...), eps))`: all arguments of `std` suit `var`."""
    emit, bound = site.emitter(), site.limits.radicand
    start, end = site.source.range_of(operation.call)
    callee_end = site.source.range_of(operation.call.func)[1]
    keywords = {keyword.arg for keyword in operation.call.keywords}
    if operation.style == "method":
        torch = keywords & {"dim", "keepdim", "unbiased", "correction"}
        place = callee_end - len(operation.attribute)
        name = Replacement(place, callee_end, "var")
        if torch or (site.api.family == "torch" and not keywords & {"axis", "ddof", "keepdims"}):
            pieces = [name, Replacement(end, end, f".clamp(min={bound}).sqrt()")]
        else:
            before, after = emit.call("sqrt", emit.at_least("\0", bound)).split("\0")
            pieces = [Replacement(start, start, before), name, Replacement(end, end, after)]
    else:
        variance = emit.spell("var").text
        before, after = emit.call("sqrt", emit.at_least("\0", bound)).split("\0")
        pieces = [
            Replacement(start, callee_end, before + variance),
            Replacement(end, end, after),
        ]
    description = f"write `{spelled(operation)}` as a square root that stays above 0"
    yield site.rewrite("guard", description, pieces, emit)


def _inverse(site: Site, operation: Operation) -> Iterator[Template]:
    """A function that is defined up to 1: the inverse of a cosine, of a sigmoid."""
    domain = functions.row(operation.name).domain
    if not isinstance(domain, functions.Interval):
        return
    lower = int(domain.low)
    emit, margin = site.emitter(), site.limits.margin
    bounds = (f"{lower} + {margin}" if lower else margin, f"1 - {margin}")
    pieces = guards.between(site, emit, operation, operation.arguments["x"], bounds)
    description = f"keep the argument of `{spelled(operation)}` between {lower} and 1"
    yield site.rewrite("guard", description, pieces, emit)


def _arccosh(site: Site, operation: Operation) -> Iterator[Template]:
    emit = site.emitter()
    bound = f"1 + {site.limits.margin}"
    pieces = guards.not_below(site, emit, operation, operation.arguments["x"], bound)
    description = f"keep the argument of `{spelled(operation)}` above 1"
    yield site.rewrite("guard", description, pieces, emit)


def _arctan2(site: Site, operation: Operation) -> Iterator[Template]:
    """`arctan2(0, 0)` is 0, and so is `arctan2(0, 1)`, which has a derivative."""
    y, x = operation.arguments["left"], operation.arguments.get("right")
    if x is None or not (site.is_repeatable(x) and site.is_repeatable(y)):
        return
    emit = site.emitter()
    size = f"{emit.call('abs', site.text(y))} + {emit.call('abs', site.text(x))}"
    start, end = site.source.grouped_range(x)
    pieces = [Replacement(start, end, emit.one_where_zero(size, site.text(x)))]
    description = f"give `{spelled(operation)}` the point (0, 1) where it had (0, 0)"
    yield site.rewrite("guard", description, pieces, emit)


def _hypot(site: Site, operation: Operation) -> Iterator[Template]:
    left, right = operation.arguments["left"], operation.arguments.get("right")
    if right is None or not operation.complete:
        return
    emit = site.emitter()
    total = " + ".join(emit.call("square", site.text(node)) for node in (left, right))
    text = emit.call("sqrt", emit.at_least(total, site.limits.radicand))
    description = f"write `{spelled(operation)}` as a square root that stays above 0"
    yield site.rewrite("guard", description, [site.replace(operation.call, text)], emit)


_RULES: dict[str, Callable[[Site, Operation], Iterator[Template]]] = {
    "sqrt": _root,
    "rsqrt": _root,
    "power": _power,
    "norm": norms.norm,
    "normalize": norms.normalize,
    "std": _std,
    "arccos": _inverse,
    "arcsin": _inverse,
    "arccosh": _arccosh,
    "arctanh": _inverse,
    "arctan2": _arctan2,
    "erfinv": _inverse,
    "hypot": _hypot,
    "logit": _inverse,
}
