"""Removable points: where the formula is 0 / 0 it is replaced by its series, in a safe `where`."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from mpmath import mp

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import real
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import EXACT, BadFormula, Evaluation, to_float64
from stayfinite.repair.engine.monomials import Polynomial, formula
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.engine.reference import Kind, reference_at
from stayfinite.repair.engine.series import Expansion, NoSeries, Series
from stayfinite.repair.engine.structure import finite
from stayfinite.repair.engine.zero_safe import is_ordinary
from stayfinite.repair.formula import LeafRole, Node, constant, node, walk

OFFSETS = (1.0, 0.5, -0.5)  # the first one at which a form is ordinary is taken
POINTS = (0.0, 1.0, -1.0, 2.0)
# Distance below which the polynomial is taken, and its number of terms; cheapest first.
PATCHES = (
    (0.0, 1), (0.0, 2), (1e-4, 2), (1e-3, 2), (1e-2, 3), (3e-2, 3), (3e-2, 4), (0.2, 5), (0.2, 6)
)  # fmt: skip


@dataclass(frozen=True)
class Point:
    """A variable of a formula and the value at which the formula has a limit."""

    variable: Node
    at: Node


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """Safe forms of every sub-formula that is 0 / 0 at a removable point.

    First those that leave the whole formula finite; of others only the shortest, for a further one.
    """
    if not context.samples.main.reference.has(Kind.LIMIT):
        return
    others: list[Node] = []
    for target in _targets(context, root):
        for safe in _at_zero_divisor(context, target):
            yield build.substituted(root, {target: safe}), "limit", ()
        for point in _points(context, target):
            try:
                expansion = Expansion(
                    point.variable, point.at, lambda x: _vanishes(context, x), context.shape
                )
                point, series = _without_root(point, expansion.of(target))
            except (NoSeries, BadFormula, ArithmeticError):
                continue
            if series.order < 0:
                continue
            forms = {form: _offset(context, point, form) for form in (target, _sharpened(target))}
            is_enough = None
            for width, terms in PATCHES:
                try:
                    patch = _LocalForm(point, series, width, terms)
                    found = [patch.on(form, offset) for form, offset in forms.items()]
                except NoSeries:
                    break
                made = [build.substituted(root, {target: form}) for form in found]
                if is_enough is None:
                    is_enough = _is_finite(context, made[0])
                if not is_enough:
                    others += made
                    break
                yield from ((x, "limit", ()) for x in made)
    yield from ((x, "limit", ()) for x in others)


def _at_zero_divisor(context: Context, target: Node) -> Iterator[Node]:
    """A quotient as 0 where the divisor is 0, if that is its limit whatever the operands are.

    So the quotient of two sums over the same elements, which has no series in one of them. A mean
    with weights that are all 0 has the limit of its values, which are others in another batch.
    """
    if target.op != "divide":
        return
    numerator, divisor = target.operands
    value = _broadcast(context, divisor, np.empty(context.shape(target)))
    is_zero = None if value is None else value == 0
    if is_zero is None or not is_zero.any():
        return
    values = context.samples.main.values
    others = {
        leaf: np.random.default_rng(17).uniform(0.5, 1.5, np.shape(x))
        * (np.asarray(x, np.float64) + 1.0)
        for leaf, x in values.items()
        if _movable(leaf) and build.uses(numerator, (leaf,)) and not build.uses(divisor, (leaf,))
    }
    for operands in (values, {**values, **others}):
        found = reference_at(target, operands, (), context.problem.dtype)
        if set(found.kinds[is_zero]) != {Kind.LIMIT} or found.value[is_zero].any():
            return
    at = node("equal", divisor, real(0.0))
    safe = build.divide(numerator, node("where", at, real(1.0), divisor))
    yield node("where", at, real(0.0), safe)


def _without_root(point: Point, series: Series) -> tuple[Point, Series]:
    """A series in even powers of a square root as one in what is under the root.

    That has a derivative at 0, which the root has not.
    """
    x = point.variable
    is_root = x.op == "sqrt" or (x.op == "power" and build.number(x.operands[1]) == 0.5)
    is_even = series.order % 2 == 0 and all(c.is_zero for c in series.coefficients[1::2])
    if not is_root or build.number(point.at) != 0 or not is_even:
        return point, series
    return Point(x.operands[0], point.at), Series(series.order // 2, series.coefficients[::2])


def _is_finite(context: Context, root: Node) -> bool:
    """Whether a formula is finite at the recorded operands where its exact value is."""
    known = context.samples.main.reference.known
    return bool(np.isfinite(to_float64(context.floating.value(root)))[known].all())


def _targets(context: Context, root: Node) -> list[Node]:
    """Sub-formulas that are not finite in exact arithmetic, element by element.

    The smallest first, then those that may be 0 / 0 once more where the smallest has its limit.
    """
    found = []
    for x in walk(root):
        if x.op in ("divide", "multiply", "subtract", "add", "power", "log", "square", "negative"):
            try:
                value = context.value(x)
            except BadFormula:
                continue
            if np.isnan(to_float64(value)).any():
                found.append(x)
    quotients = [x for x in found[1:] if x.op in ("divide", "multiply", "power")]
    return list(dict.fromkeys((*found[:1], *quotients, *found)))[:4]


def _points(context: Context, target: Node) -> Iterator[Point]:
    """Where the formula may have a limit: first where two things that it compares are equal."""
    where_bad = ~finite(context.value(target))

    def bad(x: Node) -> np.ndarray | None:
        value = _broadcast(context, x, where_bad)
        return None if value is None else value[where_bad]

    parts = [x for x in walk(target) if x.op != "constant" and x is not target]
    leaves = [x for x in parts if x.op == "leaf" and _movable(x)]
    inner = [x for x in parts if x.op != "leaf" and x.op not in ("exp", "where") and x.operands]
    moves = build.REARRANGES
    views = [x for x in inner if all(part.op in moves or part in leaves for part in walk(x))]
    pairs = list(dict.fromkeys((*_compared(target), *itertools.combinations((*leaves, *views), 2))))
    equal = [Point(a, b) for a, b in pairs if _independent(a, b) and _same(bad(a), bad(b))]
    yield from (point for point in equal if (point.variable, point.at) in _compared(target))
    for x in (*leaves, *inner):
        value = bad(x)
        if value is not None:
            yield from (Point(x, real(at)) for at in POINTS if (value == at).all())
    yield from (point for point in equal if (point.variable, point.at) not in _compared(target))


def _independent(a: Node, b: Node) -> bool:
    return not build.uses(a, (b,)) and not build.uses(b, (a,))


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is not None and other is not None and bool((one == other).all())


def _compared(target: Node) -> list[tuple[Node, Node]]:
    """Operands of differences and ratios: what the formula itself compares."""
    return [
        (x.operands[0], x.operands[1])
        for x in walk(target)
        if x.op in ("subtract", "divide")
        and all(operand.op not in ("constant", "where") for operand in x.operands)
        and all(build.value(operand) is None for operand in x.operands)
    ]


def _movable(x: Node) -> bool:
    return x.attribute("role") in (LeafRole.VARIABLE, LeafRole.DATA)


def _broadcast(context: Context, x: Node, like: np.ndarray) -> np.ndarray | None:
    try:
        value = to_float64(context.floating.value(x))
        return np.broadcast_to(value, like.shape)
    except (BadFormula, ValueError):
        return None


def _vanishes(context: Context, x: Node) -> bool:
    """Whether a coefficient is 0 at the recorded operands and around them."""
    for sample in context.samples.required[:2]:
        with mp.workdps(50):
            value = Evaluation(EXACT, sample.values).value(x)
        size = np.abs(to_float64(value))
        if not (size < 1e-40).all():
            return False
    return True


@dataclass(frozen=True)
class _LocalForm:
    """A number of terms of a series, taken closer than `width` to the point."""

    point: Point
    series: Series
    width: float
    terms: int

    def on(self, form: Node, offset: float) -> Node:
        """The series near the point, `form` elsewhere with its variable moved by `offset` inside.

        Raises:
            NoSeries: it has fewer terms.
        """
        variable, at = self.point.variable, self.point.at
        gap = build.subtract(variable, at)
        near = (
            node("less", build.absolute(gap), constant(self.width))
            if self.width
            else node("equal", variable, at)
        )
        safe = node("where", near, build.add(at, real(offset)), variable)
        total = formula(self.series.at(0))
        for power in range(1, self.terms):
            coefficient = self.series.at(power)
            if coefficient.is_zero:
                continue
            factor = Polynomial({((gap, Fraction(power)),): Fraction(1)})
            part = formula(coefficient.times(factor))
            negative = part.op == "negative"
            total = build.subtract(total, part.operands[0]) if negative else build.add(total, part)
        return node("where", near, total, build.substituted(form, {variable: safe}))


def _offset(context: Context, point: Point, form: Node) -> float:
    """How far from the point the functions of `form` have finite values and derivatives."""
    for offset in OFFSETS:
        moved = build.substituted(form, {point.variable: build.add(point.at, real(offset))})
        with contextlib.suppress(BadFormula):
            if is_ordinary(context, moved, np.asarray(True)):
                return offset
    return OFFSETS[0]


def _sharpened(target: Node) -> Node:
    """`target` with the differences that lose all digits near 0 as the functions for them."""
    mapping: dict[Node, Node] = {}
    for x in walk(target):
        if x.op not in ("subtract", "log"):
            continue
        a, b = x.operands[0], x.operands[-1]
        if x.op == "log":
            one = a.op == "add" and 1.0 in [build.number(operand) for operand in a.operands]
            if one:
                other = next(o for o in a.operands if build.number(o) != 1.0)
                mapping[x] = node("log1p", other)
            elif a.op == "divide":
                gap = build.subtract(*a.operands)
                mapping[x] = node("log1p", build.divide(gap, a.operands[1]))
        elif a.op == "exp" and b.op == "exp":
            gap = build.subtract(a.operands[0], b.operands[0])
            mapping[x] = build.multiply(b, node("expm1", gap))
        elif build.number(b) == 1 and a.op == "exp":
            mapping[x] = node("expm1", a.operands[0])
        elif build.number(a) == 1 and b.op == "exp":
            mapping[x] = build.negative(node("expm1", b.operands[0]))
        elif build.number(b) == 1 and a.op == "power":
            base, exponent = a.operands
            mapping[x] = node("expm1", build.multiply(exponent, build.log(base)))
        elif build.number(a) == 1 and b.op == "cos":
            half = node("sin", build.divide(b.operands[0], real(2.0)))
            mapping[x] = build.multiply(real(2.0), build.square(half))
    return build.substituted(target, mapping)
