"""Whether two formulas compute the same floating-point numbers, and where they differ."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from stayfinite.repair.formula import Node, walk

# A sign that can be taken out of an operation without a rounding, and the operation without it.
Signed = tuple[int, Hashable]
_COMMUTATIVE = ("maximum", "minimum", "logaddexp", "equal", "not_equal")


def same(one: Node, other: Node) -> bool:
    """Whether two formulas differ only in what changes no result: order and signs.

    `a - b` is `a + (-b)`, and `a * b` is `b * a`; but `(a + b) + c` is not `a + (b + c)`.
    """
    return one is other or _normal(one) == _normal(other)


def differing(old: Node, new: Node) -> list[tuple[Node, Node]]:
    """Pairs of sub-formulas, outermost first, each of which holds the whole difference."""
    found = [(old, new)]
    while old.op == new.op and old.attributes == new.attributes:
        if len(old.operands) != len(new.operands):
            break
        pairs = {(a, b) for a, b in zip(old.operands, new.operands, strict=True) if not same(a, b)}
        if len(pairs) != 1:
            break
        old, new = next(iter(pairs))
        found.append((old, new))
    return found


def smallest_differing(old: Node, new: Node) -> list[tuple[Node, Node]]:
    """Pairs of sub-formulas that differ in their outermost operation, each once."""
    found: dict[tuple[Node, Node], None] = {}
    seen: set[tuple[Node, Node]] = set()
    stack = [(old, new)]
    while stack:
        one, other = stack.pop()
        if one is other or (one, other) in seen or (one.op == "constant" and same(one, other)):
            continue
        seen.add((one, other))
        alike = one.op == other.op and one.attributes == other.attributes
        if alike and len(one.operands) == len(other.operands):
            stack.extend(zip(one.operands, other.operands, strict=True))
        else:
            found[one, other] = None
    return list(found)


def _normal(root: Node) -> Signed:
    done: dict[Node, Signed] = {}
    for node in walk(root):
        done[node] = _of(node, [done[operand] for operand in node.operands])
    return done[root]


def _of(node: Node, operands: list[Signed]) -> Signed:
    op = node.op
    if op == "constant":
        value = node.attribute("value")
        assert isinstance(value, bool | int | float)
        if isinstance(value, bool) or value != value:
            return 1, ("constant", repr(value))
        return (-1 if value < 0 else 1), ("constant", float(np.float32(abs(value))))
    if op == "negative":
        sign, core = operands[0]
        return -sign, core
    if op in ("add", "subtract"):
        (s, a), (t, b) = operands
        t = -t if op == "subtract" else t
        if s == t:
            return s, ("add", frozenset([a, b]), a == b, True)
        # The sign of a difference: which of the two is taken from the other.
        first, second = (a, b) if s > 0 else (b, a)
        return 1, ("difference", first, second)
    if op == "multiply":
        (s, a), (t, b) = operands
        return s * t, ("multiply", frozenset([a, b]), a == b)
    if op == "divide":
        (s, a), (t, b) = operands
        return s * t, ("divide", a, b)
    parts: Hashable = tuple(operands)
    if op in _COMMUTATIVE:
        parts = frozenset(operands), operands[0] == operands[1]
    return 1, (op, parts, node.attributes)
