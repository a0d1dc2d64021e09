"""Factors and divisors moved into and out of sums, which no pattern of fixed shape expresses."""

from __future__ import annotations

from collections.abc import Iterator

from stayfinite.repair.engine import build, log_domain
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import BadFormula
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.formula import Node, node, walk

SUMS = frozenset({"sum", "mean"})


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """`sum(a) / b` as `sum(a / b)`, for weighted means; `c * sum(a)` likewise."""
    for x in walk(root):
        if x.op not in ("divide", "multiply") or not context.bad_below(x):
            continue
        for total, other in (x.operands, x.operands[::-1])[: 2 if x.op == "multiply" else 1]:
            if total.op not in SUMS:
                continue
            try:
                wide = kept(context, other, total)
            except BadFormula:
                continue
            if wide is None:
                continue
            inside = _inside(total.operands[0], wide, x.op)
            for each in inside:
                found = node(total.op, each, **dict(total.attributes))
                whole = build.substituted(root, {x: found})
                yield whole, "into the sum", ()
                for formula, rule, assumptions in log_domain.proposals(context, whole):
                    yield formula, f"into the sum, {rule}", assumptions


def _inside(a: Node, b: Node, op: str) -> Iterator[Node]:
    """a / b or a * b, with b joined to one factor of a."""
    if op == "multiply":
        yield build.multiply(a, b)
        return
    if a.op == "multiply":
        first, second = a.operands
        yield build.multiply(first, build.divide(second, b))
        yield build.multiply(build.divide(first, b), second)
    yield build.divide(a, b)


def kept(context: Context, x: Node, total: Node) -> Node | None:
    """`x`, which has the shape of the reduction `total`, in a shape that its operand broadcasts."""
    have, full = context.shape(x), context.shape(total.operands[0])
    axes = total.attribute("axis")
    if total.attribute("keepdims") or not have:
        return x
    if not isinstance(axes, tuple) or len(have) + len(axes) != len(full):
        return None
    if x.op in ("sum", "mean", "max", "min", "logsumexp", "prod") and x.attribute("axis") == axes:
        return node(x.op, x.operands[0], axis=axes, keepdims=True)
    return node("expand_dims", x, axis=axes)
