"""A mean over nothing: divide by at least 1, so that the sum of nothing stays 0.

A deviation of one element divides by 0 if it is that of a sample.
"""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.edit import Replacement
from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import guards
from stayfinite.repair.rewrites.site import Site, Template


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    operation = site.operation
    if operation is None:
        return
    if operation.name == "divide" and (divisor := operation.arguments.get("y")) is not None:
        if site.number(divisor) is None:
            pieces = guards.at_least(site, operation, divisor, "1.0")
            yield site.rewrite("guard", "divide by at least 1", pieces)
        yield from guards.rewrites(site, guards.DIVISION)
    elif operation.name == "mean":
        yield from _mean(site, operation)
    elif operation.name in ("std", "var"):
        yield from _deviation(site, operation)


def _mean(site: Site, operation: Operation) -> Iterator[Template]:
    """`mean(x, axis, where=m)` -> `sum(x, ...) / maximum(sum(ones_like(x), ...), 1)`.

    Of all elements of PyTorch's tensors, `sum(x) / max(x.numel(), 1)`.
    """
    options = {k: site.text(v) for k, v in operation.arguments.items() if k in ("axis", "keepdims")}
    mask = {k.arg: site.text(k.value) for k in operation.call.keywords if k.arg == "where"}
    if not operation.complete and not mask:
        return
    options |= mask
    first, again = site.twice(operation.arguments["x"], "values")
    if not options and site.api.family == "torch":
        total = site.calls("sum", first)
        if operation.style == "method":
            total = f"{first if first != again else site.atom(operation.arguments['x'])}.sum()"
        text = f"{total} / max({again}.numel(), 1)"
    else:
        total = site.calls("sum", first, **options)
        count = site.calls("sum", site.calls("ones_like", again), **options)
        text = f"{total} / {site.calls.at_least(count, '1')}"
    piece = site.replace(operation.call, text, is_atom=False)
    yield site.rewrite("count", "divide the sum by at least 1", [piece])


def _deviation(site: Site, operation: Operation) -> Iterator[Template]:
    """`std(x, dim=0)` of PyTorch, which divides by n - 1 -> `std(x, dim=0, correction=0)`."""
    call = operation.call
    keywords = {keyword.arg for keyword in call.keywords}
    num_positional = len(call.args) - (operation.style == "function")
    if site.api.family != "torch" or keywords & {"unbiased", "correction"} or num_positional > 1:
        return
    end = site.source.range_of(call)[1] - 1
    comma = ", " if call.args or call.keywords else ""
    pieces = [Replacement(end, end, f"{comma}correction=0")]
    yield site.rewrite("count", "divide by the number of elements, not by one less", pieces)
