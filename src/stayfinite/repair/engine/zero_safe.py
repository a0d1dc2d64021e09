"""Rules about zeros and branches: `x log x` at 0, and `where` with a bad branch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from stayfinite.numerics import functions
from stayfinite.numerics.exact import PAST_ONE
from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import real
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import to_float64
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.engine.recomputed import near_point
from stayfinite.repair.formula import Node, node, walk

# Functions with a pole or an infinite derivative, and an argument at which they have neither.
SINGULAR = {
    "log": 0.0, "sqrt": 0.0, "rsqrt": 0.0, "reciprocal": 0.0, "divide": 0.0, "power": 0.0,
    "norm": 0.0, "std": 0.0, "arccos": 1.0, "arccosh": 1.0, "arcsin": 1.0, "arctanh": 1.0,
    "log1p": -1.0,
}  # fmt: skip
_DEFINED_BELOW = {"arccos", "arcsin", "arctanh"}
# The values of a function at the ends of its domain.
_ENDS = {
    "arccos": {1.0: 0.0, -1.0: float(np.pi)},
    "arcsin": {1.0: float(np.pi / 2), -1.0: float(-np.pi / 2)},
    "arccosh": {1.0: 0.0},
}

# Whether an operand is at a point, as a formula; None where another comparison is for it. The last
# argument is whether the function of the operand is defined above the point.
Comparison = Callable[[Context, Node, float, bool], Node | None]


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """Safe forms of every singular sub-formula whose operand is at the singular point."""
    for compare in (near_point, _at_point):
        safe = {x: _moved(context, x, compare) for x in walk(root)}
        made = [(x, found) for x, found in safe.items() if found is not None]
        for x, found in made:
            yield build.substituted(root, {x: found}), "safe where", ()
        if len(made) > 1:
            yield build.substituted(root, dict(made)), "safe where", ()
    for x in walk(root):
        if x.op == "multiply":
            for factor, other in (x.operands, x.operands[::-1]):
                for found in _masked(context, factor, other):
                    yield build.substituted(root, {x: found}), "zero times a pole", ()
        if x.op == "where":
            yield from _branches(context, root, x)


def _argument(x: Node) -> Node:
    return x.operands[1] if x.op == "divide" else x.operands[0]


def _at_point(context: Context, x: Node, point: float, _: bool) -> Node | None:
    return node("equal", x, real(point))


def _at_end(context: Context, x: Node, point: float, is_above: bool) -> Node | None:
    """At the end of the domain, or past it by a rounding."""
    return near_point(context, x, point, is_above) or node(
        "less_equal" if is_above else "greater_equal", x, real(point)
    )


def _moved(context: Context, x: Node, compare: Comparison) -> Node | None:
    """f(x) as `where(x at the point, f(point), f(x moved away from it))`."""
    if x.op not in SINGULAR or x.op in ("log", "divide", "reciprocal", "rsqrt", "log1p"):
        return None
    if x.op in ("norm", "std"):
        return _moved_reduction(context, x, compare)
    if x.op in _ENDS:
        return _between_ends(context, x) if compare is _at_point else None
    inner, point = _argument(x), SINGULAR[x.op]
    if not (to_float64(context.floating.value(inner)) == point).any():
        return None
    if x.op == "power" and (build.number(x.operands[1]) or 0.0) >= 1.0:
        return None
    at = compare(context, inner, point, x.op not in _DEFINED_BELOW)
    if at is None:
        return None
    safe = node("where", at, real(_harmless(x)), inner)
    return node("where", at, real(0.0), build.rebuilt(x, (safe, *x.operands[1:])))


def _between_ends(context: Context, x: Node) -> Node | None:
    """f(x) with its value at each end of the domain that an operand is at, or is rounded past."""
    inner = _argument(x)
    operand = to_float64(context.floating.value(inner))
    met: dict[Node, float] = {}
    for end, value in _ENDS[x.op].items():
        is_above = x.op == "arccosh" or end < 0
        past = (operand <= end) if is_above else (operand >= end)
        if (past & (np.abs(operand - end) <= float(PAST_ONE))).any():
            at = _at_end(context, inner, end, is_above)
            if at is not None:
                met[at] = value
    if not met:
        return None
    safe = inner
    for at in met:
        safe = node("where", at, real(_harmless(x)), safe)
    found = build.rebuilt(x, (safe,))
    for at, value in met.items():
        found = node("where", at, real(value), found)
    return found


def _moved_reduction(context: Context, x: Node, compare: Comparison) -> Node | None:
    """Norm and standard deviation by their squares, with the root taken of a safe number."""
    if not (to_float64(context.floating.value(x)) == 0).any():
        return None
    inner, attributes = x.operands[0], dict(x.attributes)
    if x.op == "norm":
        squares = node("sum", build.square(inner), **attributes)
    else:
        squares = node("var", inner, **attributes)
    at = compare(context, squares, 0.0, True)
    if at is None:
        return None
    return node("where", at, real(0.0), build.sqrt(node("where", at, real(1.0), squares)))


def _masked(context: Context, factor: Node, other: Node) -> Iterator[Node]:
    """`factor * f(x)` as 0 where factor is 0, with f's argument moved away from the pole."""
    if not context.bad_below(other):
        return
    if not (to_float64(context.floating.value(factor)) == 0).any():
        return
    at = node("equal", factor, real(0.0))
    mapping = {}
    for x in walk(other):
        if x.op in SINGULAR and (context.bad(x) or x.op in ("sqrt", "power", "norm")):
            mapping[_argument(x)] = node("where", at, real(_harmless(x)), _argument(x))
    if mapping:
        tame = build.substituted(other, mapping)
        yield build.multiply(factor, tame)
        yield node("where", at, real(0.0), build.multiply(factor, tame))


def _branches(
    context: Context, root: Node, x: Node
) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """`where(c, f(x), g)` with f computed at a harmless argument where c does not hold."""
    condition, first, second = x.operands
    for branch, chosen in ((first, True), (second, False)):
        if not context.bad_below(branch) and branch.op not in SINGULAR:
            continue
        discarded = (to_float64(context.floating.value(condition)) != 0) != chosen
        for inner, harmless in _inputs(branch):
            for value in harmless:
                away = real(value)
                safe = (
                    node("where", condition, inner, away)
                    if chosen
                    else node("where", condition, away, inner)
                )
                tame = build.substituted(branch, {inner: safe})
                if not is_ordinary(context, tame, discarded):
                    continue
                parts = (tame, second) if chosen else (first, tame)
                yield (
                    build.substituted(root, {x: node("where", condition, *parts)}),
                    "safe branch",
                    (),
                )


def _inputs(branch: Node) -> list[tuple[Node, tuple[float, ...]]]:
    """Where to cut in, with numbers to put there: operands of functions with a pole, and leaves."""
    found: dict[Node, tuple[float, ...]] = {}
    for x in walk(branch):
        if x.op in SINGULAR:
            found.setdefault(_argument(x), (_harmless(x),))
    for x in walk(branch):
        if x.op == "leaf":
            found.setdefault(x, (1.0, 0.0, 0.5))
    return [(x, values) for x, values in found.items() if x.op != "constant"][:6]


def _harmless(x: Node) -> float:
    """An argument at which the value and the derivative of a singular function are finite."""
    harmless = functions.row(x.op).harmless
    return 1.0 if harmless is None else harmless


def is_ordinary(context: Context, branch: Node, discarded: np.ndarray) -> bool:
    """Whether singular functions of a branch have finite values and derivatives where discarded.

    A function of another shape than the mask `discarded` has to have them everywhere.

    Raises:
        BadFormula: it cannot be evaluated.
    """
    for x in walk(branch):
        if x.op not in SINGULAR:
            continue
        ordinary = _ordinary_elements(context, x)
        fits = ordinary.shape == discarded.shape or discarded.shape == ()
        if not (ordinary | ~discarded if fits else ordinary).all():
            return False
    return True


def _ordinary_elements(context: Context, x: Node) -> np.ndarray:
    value = to_float64(context.floating.value(x))
    mask: np.ndarray = np.isfinite(value)
    singular = functions.row(x.op).singular
    if x.op in ("norm", "std"):
        mask = mask & (value != 0)
    elif singular is not None:
        operands = [to_float64(context.floating.value(operand)) for operand in x.operands]
        mask = mask & ~singular.includes(*operands)
    return mask
