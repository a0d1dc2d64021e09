"""A mean over nothing: divide by at least 1, so that the sum of nothing stays 0."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import division_by_zero, guards
from stayfinite.repair.rewrites.site import Site, Template


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    operation = site.operation
    if operation is None:
        return
    if operation.name == "divide" and (divisor := operation.arguments.get("right")) is not None:
        if site.number(divisor) is None:
            emit = site.emitter()
            pieces = guards.at_least(site, emit, operation, divisor, "1.0")
            yield site.rewrite("guard", "divide by at least 1", pieces, emit)
        yield from division_by_zero.rewrites(site)
    elif operation.name == "mean":
        options = _options(site, operation)
        if options is not None:
            yield _mean_along(site, operation, options) if options else _mean(site, operation)


def _options(site: Site, operation: Operation) -> dict[str, str] | None:
    """Axis, keepdims and JAX's mask of a mean, as text; None where there is more to it."""
    roles = {k: site.text(v) for k, v in operation.arguments.items() if k in ("axis", "keepdims")}
    mask = {k.arg: site.text(k.value) for k in operation.call.keywords if k.arg == "where"}
    return {**roles, **mask} if operation.complete or mask else None


def _mean_along(site: Site, operation: Operation, options: dict[str, str]) -> Template:
    """`mean(x, axis, where=m)` -> `sum(x, ...) / maximum(sum(ones_like(x), ...), 1)`."""
    emit, x = site.emitter(), operation.arguments["x"]
    first, again = site.twice(x, "values")
    total = emit.call("sum", first, **options)
    count = emit.call("sum", emit.call("ones_like", again), **options)
    piece = site.replace(operation.call, f"{total} / {emit.at_least(count, '1')}", is_atom=False)
    return site.rewrite("count", "divide the sum by at least 1", [piece], emit)


def _mean(site: Site, operation: Operation) -> Template:
    """`x.mean()` -> `x.sum() / max(x.numel(), 1)`, and so in the other libraries."""
    emit, x = site.emitter(), operation.arguments["x"]
    first, again = site.twice(x, "values")
    if operation.style == "method":
        text = f"{first if first != again else site.atom(x)}.sum() / max({again}.numel(), 1)"
    else:
        total = emit.call("sum", first)
        if site.api.family == "torch":
            text = f"{total} / max({again}.numel(), 1)"
        else:
            count = emit.call("cast", emit.call("size", again), emit.dtype_of(again))
            text = f"{total} / {emit.at_least(count, '1')}"
    piece = site.replace(operation.call, text, is_atom=False)
    return site.rewrite("count", "divide the sum by at least 1", [piece], emit)
