"""Lengths of vectors: `norm` and `normalize` written out, with the sum of squares above 0."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites.limits import power_floor
from stayfinite.repair.rewrites.site import Site, Template, spelled

_EUCLIDEAN = (None, 2, 2.0, "euclidean", "fro")


def norm(site: Site, operation: Operation) -> Iterator[Template]:
    """`norm(x, axis=a)` -> `sqrt(maximum(sum(square(x), axis=a), eps))`."""
    if not _is_euclidean(operation):
        return
    emit, bound = site.emitter(), site.limits.radicand
    x = operation.arguments["x"]
    axis, keepdims = _option(site, operation, "axis"), _option(site, operation, "keepdims")
    if operation.style == "method":
        options = ", ".join(
            f"{key}={value}" for key, value in (("dim", axis), ("keepdim", keepdims)) if value
        )
        receiver = site.atom(x)
        text = f"{receiver}.square().sum({options}).clamp(min={bound}).sqrt()"
    else:
        squares = emit.call("square", site.text(x))
        total = emit.call("sum", squares, axis=axis, keepdims=keepdims)
        text = emit.call("sqrt", emit.at_least(total, bound))
    yield site.rewrite(
        "guard",
        f"write `{spelled(operation)}` as a square root that stays above 0",
        [site.replace(operation.call, text)],
        emit,
    )


def normalize(site: Site, operation: Operation) -> Iterator[Template]:
    """`normalize(x, axis=a)` -> `x * rsqrt(maximum(sum(square(x), axis=a, keepdims), eps))`."""
    if not _is_euclidean(operation):
        return
    emit, bound = site.emitter(), power_floor(site.facts.dtype, -0.5)
    x = operation.arguments["x"]
    default = None if operation.attribute == "l2_normalize" else "-1"
    if operation.home == "torch.nn.functional":
        default = "1"
    axis = _option(site, operation, "axis") or default
    first, again = site.twice(x, "vector")
    factor = first if first != again else site.atom(x)
    total = emit.call("sum", emit.call("square", again), axis=axis, keepdims="True")
    guarded = emit.at_least(total, bound)
    if site.api.spell("rsqrt") is not None:
        text = f"{factor} * {emit.call('rsqrt', guarded)}"
    else:
        text = f"{factor} / {emit.call('sqrt', guarded)}"
    yield site.rewrite(
        "guard",
        f"write `{spelled(operation)}` so that it divides by a length that stays above 0",
        [site.replace(operation.call, text, is_atom=False)],
        emit,
    )


def _option(site: Site, operation: Operation, role: str) -> str | None:
    node = operation.arguments.get(role)
    return None if node is None else site.text(node)


def _is_euclidean(operation: Operation) -> bool:
    order = operation.arguments.get("order")
    known = order is None or (isinstance(order, ast.Constant) and order.value in _EUCLIDEAN)
    return operation.complete and known
