"""Removable points: where the formula is 0 / 0 it is replaced by its series, in a safe `where`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from mpmath import mp

from stayfinite.numerics.exact import FUNCTIONS
from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import real
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.evaluate import EXACT, BadFormula, Evaluation, to_float64
from stayfinite.repair.engine.monomials import Polynomial, formula
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.engine.reference import Kind
from stayfinite.repair.engine.series import Expansion, NoSeries, Series
from stayfinite.repair.engine.structure import finite
from stayfinite.repair.formula import LeafRole, Node, constant, node, walk

POINTS = (0.0, 1.0, -1.0, 2.0)
# Distance below which the polynomial is taken, and its number of terms; cheapest first.
PATCHES = ((0.0, 1), (0.0, 2), (1e-3, 2), (3e-2, 3), (3e-2, 4), (0.2, 6))
ELEMENTWISE = frozenset(FUNCTIONS)


@dataclass(frozen=True)
class Point:
    """A variable of a formula and the value at which the formula has a limit."""

    variable: Node
    at: Node


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """Safe forms of every sub-formula that is 0 / 0 at a removable point."""
    if not context.samples.main.reference.has(Kind.LIMIT) and not _singular(context, root):
        return
    for target in _targets(context, root):
        for point in _points(context, target):
            try:
                series = Expansion(point.variable, point.at, lambda x: _vanishes(context, x)).of(
                    target
                )
            except (NoSeries, BadFormula, ArithmeticError):
                continue
            if series.order < 0:
                continue
            for width, terms in PATCHES:
                try:
                    found = _patched(target, point, series, width, terms)
                except NoSeries:
                    break
                yield build.substituted(root, {target: found}), "limit", ()


def _singular(context: Context, root: Node) -> bool:
    """Whether something on the way is not finite in exact arithmetic."""
    return any(
        not finite(context.value(x)).all() for x in walk(root) if x.op not in ("constant", "leaf")
    )


def _targets(context: Context, root: Node) -> list[Node]:
    """Sub-formulas that are not finite in exact arithmetic, smallest first, element by element."""
    found = []
    for x in walk(root):
        if x.op in ("divide", "multiply", "subtract", "add", "power", "log", "square", "negative"):
            try:
                value = context.value(x)
            except BadFormula:
                continue
            if np.isnan(to_float64(value)).any():
                found.append(x)
    return found[:4]


def _points(context: Context, target: Node) -> Iterator[Point]:
    where_bad = ~finite(context.value(target))
    parts = [x for x in walk(target) if x.op != "constant" and x is not target]
    leaves = [x for x in parts if x.op == "leaf" and _movable(x)]
    inner = [x for x in parts if x.op != "leaf" and x.op not in ("exp", "where") and x.operands]
    for x in (*leaves, *inner):
        value = _broadcast(context, x, where_bad)
        if value is None:
            continue
        for at in POINTS:
            if (value[where_bad] == at).all():
                yield Point(x, real(at))
    for i, a in enumerate(leaves):
        for b in leaves[i + 1 :]:
            first, second = _broadcast(context, a, where_bad), _broadcast(context, b, where_bad)
            if first is not None and second is not None:
                if (first[where_bad] == second[where_bad]).all():
                    yield Point(a, b)


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


def _patched(target: Node, point: Point, series: Series, width: float, terms: int) -> Node:
    """The series near the point, the formula elsewhere with its variable moved away inside."""
    variable, at = point.variable, point.at
    gap = build.subtract(variable, at)
    near = (
        node("less", build.absolute(gap), constant(width)) if width else node("equal", variable, at)
    )
    safe = node("where", near, build.add(at, real(1.0)), variable)
    total = formula(series.at(0))
    for power in range(1, terms):
        coefficient = series.at(power)
        if coefficient.is_zero:
            continue
        factor = Polynomial({((gap, Fraction(power)),): Fraction(1)})
        part = formula(coefficient.times(factor))
        negative = part.op == "negative"
        total = build.subtract(total, part.operands[0]) if negative else build.add(total, part)
    return node("where", near, total, build.substituted(target, {variable: safe}))
