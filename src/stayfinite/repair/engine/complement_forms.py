"""One minus a function that approaches 1, as the function that approaches 0 in its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import is_number, number, real, value
from stayfinite.repair.formula import Node, node, walk

# Operations that only move elements, with the operands that they move.
MOVES = {
    **dict.fromkeys(build.MOVES_FIRST, (0,)),
    **{"where": (1, 2), "stack": (0, 1), "concatenate": (0, 1)},
}


def without_differences(root: Node) -> Node:
    """`root` with each such difference in the other form, which is equal in exact arithmetic.

    It takes fewer digits: 1 - sigmoid(1000) needs 435 of them.
    """
    made: dict[Node, Node] = {}
    for x in walk(root):
        found = _rewritten(x)
        if found is not None:
            made[x] = found
    return build.substituted(root, made) if made else root


def _rewritten(x: Node) -> Node | None:
    """A difference from 1 or more, or a logarithm of one, without the difference."""
    if x.op == "log1p" and x.operands[0].op == "negative":
        found = complement(x.operands[0].operands[0])
        return None if found is None else build.log(found)
    if x.op != "subtract":
        return None
    whole, part = x.operands
    literal = number(whole)
    if literal is None or literal < 1:
        return None
    found = complement(part)
    return None if found is None else build.add(real(_difference(literal, 1.0)), found)


def _difference(x: float, y: float) -> float:
    """x - y as one would write it: the difference of the decimal numbers, where that is the same.

    A number next to 1 may have lost the digits that its decimal form seems to have.
    """
    written = float(Decimal(repr(x)) - Decimal(repr(y)))
    return written if abs(written - (x - y)) <= 1e-6 * abs(x - y) else x - y


def complement(x: Node) -> Node | None:
    """1 - x without the difference; None where it takes one."""
    inner = x.operands[0] if x.operands else x
    own = _OWN.get(x.op)
    if own is not None:
        return own(inner)
    if x.op == "square" or (x.op == "power" and number(x.operands[1]) == 2):
        if inner.op != "tanh":
            return None
        doubled = build.multiply(real(2.0), inner.operands[0])
        pair = build.multiply(node("sigmoid", doubled), node("sigmoid", build.negative(doubled)))
        return build.multiply(real(4.0), pair)
    if x.op in ("clip", "maximum", "minimum"):
        return _of_bounded(x)
    if x.op == "divide":
        return _of_share(*x.operands)
    if x.op == "add":
        return _of_mixture(*x.operands) or _of_mixture(*reversed(x.operands))
    if x.op in MOVES:
        moved = range(len(x.operands)) if x.op in ("stack", "concatenate") else MOVES[x.op]
        operands = list(x.operands)
        for i in moved:
            known = value(operands[i])
            found = complement(operands[i]) if known is None else real(1.0 - known)
            if found is None:
                return None
            operands[i] = found
        return node(x.op, *operands, **dict(x.attributes))
    return None


def _of_bounded(x: Node) -> Node | None:
    """1 minus a value between bounds is between 1 minus those."""
    found = complement(x.operands[0])
    bounds = x.operands[1:]
    numbers = [value(bound) for bound in bounds]
    if found is None or any(n is None for n in numbers):
        return None
    known = [n for n in numbers if n is not None]
    if len(known) == 1:
        op = "minimum" if x.op == "maximum" else "maximum"
        return node(op, found, real(_difference(1.0, known[0])))
    low, high = known
    if abs(low - (1.0 - high)) <= 1e-6 * abs(low):
        return node("clip", found, *bounds)  # the same bounds, as the user wrote them
    return node("clip", found, real(_difference(1.0, high)), real(_difference(1.0, low)))


def _of_share(part: Node, whole: Node) -> Node | None:
    """1 - a / (a + b) = b / (a + b)."""
    if whole.op != "add" or part not in whole.operands:
        return None
    first, second = whole.operands
    rest = second if part is first else first
    if is_number(part, 1.0) and rest.op == "exp":
        return node("sigmoid", *rest.operands)
    return build.divide(rest, whole)


def _of_mixture(least: Node, other: Node) -> Node | None:
    """1 - (c + (1 - c) x) = (1 - c) (1 - x), for a number c."""
    low = value(least)
    if low is None or other.op not in ("multiply", "divide"):
        return None
    part, whole = other.operands
    if low == 0.5 and part.op == "arctan" and abs((value(whole) or 0.0) - math.pi) < 1e-5:
        # The distribution function of Cauchy.
        return node("divide", node("arctan2", real(1.0), *part.operands), whole)
    for factor in other.operands[: 2 if other.op == "multiply" else 1]:
        share = value(factor)
        if share is None or abs(_difference(1.0, low) - share) > 1e-9:
            continue
        rest = build.substituted(other, {factor: real(1.0)})
        found = complement(rest)
        return None if found is None else build.multiply(factor, found)
    return None


def _of_tanh(x: Node) -> Node:
    return build.multiply(real(2.0), node("sigmoid", build.multiply(real(-2.0), x)))


_OWN: dict[str, Callable[[Node], Node]] = {
    "sigmoid": lambda x: node("sigmoid", build.negative(x)),
    "tanh": _of_tanh,
    "erf": lambda x: node("erfc", x),
    "exp": lambda x: build.negative(node("expm1", x)),
}
