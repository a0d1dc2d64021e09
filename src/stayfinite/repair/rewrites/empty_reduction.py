"""A mean over nothing: divide by at least 1, so that the sum of nothing stays 0.

A maximum or minimum of nothing: 0 in the place of its infinity.

A deviation of one element divides by 0 if it is that of a sample.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from stayfinite.repair.edit import Replacement
from stayfinite.repair.edit_facts import FormWritten, NewForm
from stayfinite.repair.operation import Operation
from stayfinite.repair.rewrites import guards
from stayfinite.repair.rewrites.site import Site, Template, spelled
from stayfinite.repair.scope import dotted


def rewrites(site: Site) -> Iterator[Template]:
    """The repairs of one operation, best first."""
    operation = site.operation
    if site.facts.infinity is not None:
        yield from _extreme(site, site.facts.infinity)
    elif operation is None:
        return
    elif operation.name == "divide" and (divisor := operation.arguments.get("y")) is not None:
        # At least 1 would change sums of weights below 1.
        if site.number(divisor) is None and site.facts.is_whole:
            pieces = guards.at_least(site, operation, divisor, "1.0")
            yield site.rewrite("guard", FormWritten(NewForm.DIVISOR_AT_LEAST_ONE), pieces)
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
    yield site.rewrite("count", FormWritten(NewForm.SUM_OVER_AT_LEAST_ONE), [piece])


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
    yield site.rewrite("count", FormWritten(NewForm.NUMBER_OF_ELEMENTS), pieces)


def _extreme(site: Site, infinity: float) -> Iterator[Template]:
    """`pooled = x.amax(1)` -> the same, then `pooled = where(pooled == -inf, 0.0, pooled)`."""
    node = _with_values(site)
    is_call = isinstance(site.node, ast.Call)
    if not is_call or not isinstance(node, ast.expr) or math.isnan(infinity):
        return
    parent = site.source.parents.get(node)
    if isinstance(parent, ast.Expr):
        return  # it writes to an array in place
    bound = f'float("{infinity}")'

    def chosen(tested: str, x: str) -> str:
        return site.calls("where", f"{tested} == {bound}", site.calls.constant_like("0.0", x), x)

    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    if isinstance(target, ast.Name) and isinstance(parent, ast.Assign) and not parent.targets[1:]:
        end = site.source.range_of(parent)[1]
        line = f"{target.id} = {chosen(target.id, target.id)}"
        after = f"{site.source.newline}{' ' * parent.col_offset}{line}"
        pieces = [Replacement(end, end, after)]
    else:
        name = site.scope.free_name("largest" if infinity < 0 else "smallest")
        text = chosen(f"({name} := {site.text(node)})", name)
        pieces = [site.replace(node, text)]
    yield site.rewrite("empty", FormWritten(NewForm.ZERO_WHERE_EMPTY, _called(site)), pieces)


def _with_values(site: Site) -> ast.AST:
    """The expression, with `.values` or `[0]` where it is a pair of values and indices."""
    node = site.node
    parent = site.source.parents.get(node)
    is_values = isinstance(parent, ast.Attribute) and parent.attr == "values"
    is_first = isinstance(parent, ast.Subscript) and site.number(parent.slice) == 0
    is_pair = isinstance(parent, ast.Attribute | ast.Subscript) and (is_values or is_first)
    return parent if is_pair and parent is not None else node


def _called(site: Site) -> str | None:
    operation = site.operation
    if operation is not None:
        return spelled(operation)
    function = getattr(site.node, "func", None)
    names = None if function is None else dotted(function)
    return names[-1] if names else None
