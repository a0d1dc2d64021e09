"""Proposals where no identity has the exact value: a part in float64, then bounds.

A bound follows from the row of the function: the operand is kept inside the domain, at the bound
that changes least. An operand whose sign is not proved is moved away from 0 on its own side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from stayfinite.numerics.dtypes import largest, smallest
from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import real
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.formula import LeafRole, Node, node, walk

ISLAND, BOUND, BOUNDS = "float64", "bound", "bounds"
RULES = frozenset({ISLAND, BOUND, BOUNDS})
# Distances from a pole, the one that changes least first; scaled to the dtype.
FLOORS = {"float32": (1e-37, 1e-30, 1e-20, 1e-12, 1e-7), "float16": (6e-8, 1e-6, 1e-3)}
EDGES = {"float32": (1e-7, 1e-6), "float16": (1e-3, 1e-2)}
MOST = 24


def islands(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """An operand in float64, then sub-formulas with a wrong part, the smallest first."""
    if not context.problem.float64_island:
        return
    if context.problem.framework == "torch":
        # PyTorch goes on in the wider of two dtypes, so that nothing has to be cast back.
        for leaf in context.problem.wanted:
            yield build.substituted(root, {leaf: node("cast", leaf, dtype="float64")}), ISLAND, ()
    for x in list(walk(root)):
        if not x.operands or not context.bad_below(x):
            continue
        yield build.substituted(root, {x: _island(context, x)}), ISLAND, ()


def _island(context: Context, x: Node) -> Node:
    roles = (LeafRole.VARIABLE, LeafRole.DATA, LeafRole.MASK)
    leaves = [p for p in walk(x) if p.op == "leaf" and p.attribute("role") in roles]
    inner = build.substituted(x, {p: node("cast", p, dtype="float64") for p in leaves})
    return node("cast", inner, dtype=context.problem.dtype)


def bounds(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """Operands of every function on the failing path kept inside its domain."""
    count = 0
    bounded: dict[Node, list[Node]] = {}
    for x in walk(root):
        if x.op in _HANDLED and (x.op in _STEEP or context.bad_below(x)):
            found = list(_bounded(context, x))
            if found:
                bounded[x] = found
    for x, forms in bounded.items():
        for form in forms:
            count += 1
            if count > MOST:
                return
            yield build.substituted(root, {x: form}), BOUND, ()
    if len(bounded) > 1:
        for step in range(max(map(len, bounded.values()))):
            chosen = {x: forms[min(step, len(forms) - 1)] for x, forms in bounded.items()}
            yield _together(root, chosen), BOUNDS, ()


def _together(root: Node, chosen: dict[Node, Node]) -> Node:
    """All bounds at once, the inner ones inside the outer ones."""
    done: dict[Node, Node] = {}
    for x in walk(root):
        plain = build.rebuilt(x, tuple(done[operand] for operand in x.operands))
        if x in chosen:
            inner = {operand: done[operand] for operand in x.operands}
            plain = build.substituted(chosen[x], inner)
        done[x] = plain
    return done[root]


_HANDLED = frozenset(
    "exp exp2 expm1 cosh sinh log log2 log10 log1p sqrt rsqrt divide reciprocal power square"
    " arccos arcsin arctanh arccosh norm std lgamma gamma digamma".split()
)


# Functions with a finite value where their derivative is infinite.
_STEEP = frozenset("sqrt norm std power arccos arccosh arcsin".split())


def _bounded(context: Context, x: Node) -> Iterator[Node]:
    dtype = context.problem.dtype
    top = largest(dtype)
    floors = FLOORS.get(dtype, FLOORS["float32"])
    edges = EDGES.get(dtype, EDGES["float32"])
    a = x.operands[0]
    match x.op:
        case "exp" | "expm1" | "exp2" | "cosh" | "sinh":
            scale = math.log(2) if x.op == "exp2" else 1.0
            for share in (1.0, 0.5, 0.25):
                limit = math.floor(share * math.log(top) / scale)
                if x.op in ("cosh", "sinh"):
                    yield build.rebuilt(x, (_clip(a, -limit, limit),))
                else:
                    yield build.rebuilt(x, (node("minimum", a, real(float(limit))),))
        case "square":
            for share in (0.5, 0.25):
                size = float(f"{top**share:.0e}") / 10
                yield build.rebuilt(x, (_clip(a, -size, size),))
        case "log" | "log2" | "log10" | "rsqrt" | "sqrt" | "lgamma" | "gamma" | "digamma":
            for floor in floors:
                yield build.rebuilt(x, (node("maximum", a, real(floor)),))
        case "log1p":
            for edge in edges:
                yield build.rebuilt(x, (node("maximum", a, real(-1 + edge)),))
        case "arccos" | "arcsin" | "arctanh":
            for edge in edges:
                yield build.rebuilt(x, (_clip(a, -1 + edge, 1 - edge),))
        case "arccosh":
            for edge in edges:
                yield build.rebuilt(x, (node("maximum", a, real(1 + edge)),))
        case "divide" | "reciprocal":
            divisor = x.operands[-1]
            for floor in floors:
                safe = _away(context, divisor, max(floor, smallest(dtype)))
                yield build.rebuilt(x, (*x.operands[:-1], safe))
        case "power":
            exponent = build.value(x.operands[1])
            is_whole = exponent is not None and float(exponent).is_integer()
            # A whole power is defined below 0, so only 0 itself is left out, if it has to be.
            for floor in floors if not is_whole or float(exponent or 0) < 0 else ():
                safe = _away(context, a, floor) if is_whole else node("maximum", a, real(floor))
                yield build.rebuilt(x, (safe, x.operands[1]))
            if exponent is not None and exponent > 1:
                size = float(f"{top ** (1 / exponent):.0e}") / 10
                yield build.rebuilt(x, (_clip(a, -size, size), x.operands[1]))
        case "norm" | "std":
            inner = node("sum", build.square(a), **dict(x.attributes))
            squares = inner if x.op == "norm" else node("var", a, **dict(x.attributes))
            for floor in floors:
                yield build.sqrt(node("maximum", squares, real(floor)))


def _clip(x: Node, low: float, high: float) -> Node:
    return node("minimum", node("maximum", x, real(low)), real(high))


def _away(context: Context, x: Node, distance: float) -> Node:
    """`x` at least `distance` away from 0, on its own side."""
    if context.signs.non_negative(x):
        return node("maximum", x, real(distance))
    own = node("where", node("less", x, real(0.0)), real(-distance), real(distance))
    return node("where", node("less", build.absolute(x), real(distance)), own, x)
