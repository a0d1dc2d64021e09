"""Lengths, deviations and angles written out, with what is under the root above 0."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import FormWritten, NewForm
from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites.limits import power_floor
from stayfinite.repair.rewrites.site import Site, Template, spelled

_EUCLIDEAN = (None, 2, 2.0, "euclidean", "fro")


def _norm(site: Site, operation: Operation) -> Iterator[Template]:
    """`norm(x, axis=a)` -> `sqrt(maximum(sum(square(x), axis=a), eps))`."""
    if not _is_euclidean(operation):
        return
    x, bound = operation.arguments["x"], site.limits.radicand
    options = {role: _option(site, operation, role) for role in ("axis", "keepdims")}
    if operation.style == "method":
        words = zip(("dim", "keepdim"), options.values(), strict=True)
        dims = ", ".join(f"{key}={value}" for key, value in words if value)
        text = f"{site.atom(x)}.square().sum({dims}).clamp(min={bound}).sqrt()"
    else:
        total = site.calls("sum", site.calls("square", site.text(x)), **options)
        text = site.calls("sqrt", site.calls.at_least(total, bound))
    yield site.rewrite("guard", _as_root(operation), [site.replace(operation.call, text)])


def _normalize(site: Site, operation: Operation) -> Iterator[Template]:
    """`normalize(x, axis=a)` -> `x * rsqrt(maximum(sum(square(x), axis=a, keepdims), eps))`."""
    if not _is_euclidean(operation):
        return
    x, bound = operation.arguments["x"], power_floor(site.facts.dtype, -0.5)
    default = None if operation.attribute == "l2_normalize" else "-1"
    if operation.home == "torch.nn.functional":
        default = "1"
    axis = _option(site, operation, "axis") or default
    first, again = site.twice(x, "vector")
    factor = first if first != again else site.atom(x)
    total = site.calls("sum", site.calls("square", again), axis=axis, keepdims="True")
    guarded = site.calls.at_least(total, bound)
    if site.api.spell("rsqrt") is not None:
        text = f"{factor} * {site.calls('rsqrt', guarded)}"
    else:
        text = f"{factor} / {site.calls('sqrt', guarded)}"
    above_zero = FormWritten(NewForm.LENGTH_ABOVE_ZERO, spelled(operation))
    yield site.rewrite("guard", above_zero, [site.replace(operation.call, text, is_atom=False)])


def _std(site: Site, operation: Operation) -> Iterator[Template]:
    """`std(...)` -> `sqrt(maximum(var(...), eps))`: all arguments of `std` suit `var`."""
    bound = site.limits.radicand
    start, end = site.source.range_of(operation.call)
    name_end = site.source.range_of(operation.call.func)[1]
    keywords = {keyword.arg for keyword in operation.call.keywords}
    is_torch = bool(keywords & {"dim", "keepdim", "unbiased", "correction"}) or (
        site.api.family == "torch" and not keywords & {"axis", "ddof", "keepdims"}
    )
    name = Replacement(start, name_end, "")
    if operation.style == "method":
        place = name_end - len(operation.attribute)
        name = Replacement(place, name_end, "var")
    if operation.style == "method" and is_torch:
        pieces = [name, Replacement(end, end, f".clamp(min={bound}).sqrt()")]
    else:
        before, after = site.calls("sqrt", site.calls.at_least("\0", bound)).split("\0")
        pieces = [name, Replacement(end, end, after)]
        if operation.style == "method":
            pieces.insert(0, Replacement(start, start, before))
        else:
            variance = site.calls.spell("var").text
            pieces[0] = Replacement(start, name_end, before + variance)
    yield site.rewrite("guard", _as_root(operation), pieces)


def _hypot(site: Site, operation: Operation) -> Iterator[Template]:
    x, y = operation.arguments["x"], operation.arguments.get("y")
    if y is None or not operation.complete:
        return
    total = " + ".join(site.calls("square", site.text(node)) for node in (x, y))
    text = site.calls("sqrt", site.calls.at_least(total, site.limits.radicand))
    yield site.rewrite("guard", _as_root(operation), [site.replace(operation.call, text)])


def _arctan2(site: Site, operation: Operation) -> Iterator[Template]:
    """`arctan2(0, 0)` is 0, and so is `arctan2(0, 1)`, which has a derivative."""
    y, x = operation.arguments["x"], operation.arguments.get("y")
    if x is None or not (site.is_repeatable(x) and site.is_repeatable(y)):
        return
    size = f"{site.calls('abs', site.text(y))} + {site.calls('abs', site.text(x))}"
    start, end = site.source.grouped_range(x)
    pieces = [Replacement(start, end, site.calls.one_where_zero(size, site.text(x)))]
    point = FormWritten(NewForm.POINT_WITH_ANGLE, spelled(operation))
    yield site.rewrite("guard", point, pieces)


def _as_root(operation: Operation) -> FormWritten:
    return FormWritten(NewForm.ROOT_ABOVE_ZERO, spelled(operation))


def _option(site: Site, operation: Operation, role: str) -> str | None:
    node = operation.arguments.get(role)
    return None if node is None else site.text(node)


def _is_euclidean(operation: Operation) -> bool:
    order = operation.arguments.get("ord")
    known = order is None or (isinstance(order, ast.Constant) and order.value in _EUCLIDEAN)
    return operation.complete and known


RULES: dict[str, Callable[[Site, Operation], Iterator[Template]]] = {
    "norm": _norm,
    "normalize": _normalize,
    "std": _std,
    "arctan2": _arctan2,
    "hypot": _hypot,
}
