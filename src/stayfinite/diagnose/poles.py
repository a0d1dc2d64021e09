"""Measurements at poles: which elements of an op are outside its domain, or at a pole.

These are measurements; the causes decide what they show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.elements import bad_elements, finite_operands, samples_of
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import (
    AtLogPole,
    AtSingularPoint,
    OutsideDomain,
    PoleFacts,
    SingularDerivative,
    SingularInside,
    ZeroDivisor,
)
from stayfinite.diagnose.finding import Critical
from stayfinite.diagnose.masking import discarded_by, same_expression
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Op
from stayfinite.graph.source import callee
from stayfinite.incident import Phase
from stayfinite.numerics.functions import Domain, FunctionRow, Pole, PoleKind, SingularPoint, row

# Operand position, mask of its elements, and the domain if it is known.
_Outside = tuple[int, np.ndarray, Domain | None]


@dataclass(frozen=True)
class MetPole:
    """A pole of the value or the derivative of `op`, at its operand `position`.

    `phase` is where the step fails, if that is not the phase of the root.
    """

    op: Op
    position: int
    samples: tuple[int, ...] | None
    facts: PoleFacts
    phase: Phase | None = None

    @property
    def critical(self) -> Critical | None:
        """The operand at the pole; None for an op without operands."""
        if not self.op.operands:
            return None
        return Critical(self.op.operands[self.position], self.samples)


@dataclass(frozen=True)
class OutsideOperand:
    """Elements of the operand `position` of the root are outside its domain."""

    position: int
    samples: tuple[int, ...] | None
    facts: OutsideDomain


def zero_divisor(evidence: Evidence) -> MetPole | None:
    """The root divides, or is the derivative of a division, by 0 where it is not finite."""
    met = _at_pole(evidence, PoleKind.DIVISION)
    if met is None:
        return None
    op, position, mask, _ = met
    is_nan = bool(np.isnan(as_float(evidence.results_of(op))[mask]).any())
    facts = ZeroDivisor(is_nan, int(mask.sum()), mask.size)
    return MetPole(op, position, samples_of(evidence, op, position, mask), facts)


def log_pole(evidence: Evidence) -> MetPole | None:
    """The root is a logarithm, or the derivative of one, at its pole."""
    met = _at_pole(evidence, PoleKind.LOGARITHM)
    if met is None:
        return None
    op, position, mask, pole = met
    dtype = evidence.dtype(op.operands[position])
    facts = AtLogPole(pole.at, int(mask.sum()), mask.size, dtype)
    return MetPole(op, position, samples_of(evidence, op, position, mask), facts)


def _is_derivative(evidence: Evidence, op: Op) -> bool:
    """Whether `op` belongs to the derivative of another op, and not to code after it."""
    return op.phase == "backward" and (evidence.primal is not None or op.is_derivative)


def _at_pole(evidence: Evidence, kind: PoleKind) -> tuple[Op, int, np.ndarray, Pole] | None:
    op = evidence.op
    if op is None:
        return None
    bad = bad_elements(evidence)
    if _is_derivative(evidence, op):
        # A later op makes the infinity finite, as `exp(log(0))`, and the derivative stays bad.
        op = evidence.primal
        if op is None or op.phase == "backward":
            return None
        infinite = evidence.bad(op.results[0])
        if infinite.shape != bad.shape:
            return None
        bad = bad & infinite
    function = row(op.name)
    pole, position = function.pole, function.critical
    if pole is None or pole.kind is not kind or len(op.operands) <= position:
        return None
    operand = as_float(evidence.operand(op, position))
    if operand.shape != bad.shape:
        return None
    mask = bad & (operand == pole.at)
    return (op, position, mask, pole) if mask.any() else None


def singular_point(evidence: Evidence) -> MetPole | None:
    """The root is a derivative that is not finite, of a forward op that is."""
    op, primal = evidence.op, evidence.primal
    if op is None or primal is None:
        return None
    if op.phase != "backward":
        return _inside_one_expression(evidence, op)
    function = row(primal.name)
    if function.singular is None or len(primal.operands) < _num_operands(function.singular):
        return _of_unknown_function(evidence, op, primal)
    operands = [
        as_float(evidence.operand(primal, position)) for position in range(len(primal.operands))
    ]
    ordered = function.ordered(operands)
    value, bad = as_float(evidence.results_of(primal)), bad_elements(evidence)
    mask = function.singular.includes(*ordered) & np.isfinite(value)
    if bad.shape == mask.shape:
        mask = mask & bad
    if not mask.any():
        return None
    samples = samples_of(evidence, primal, function.critical, mask)
    return MetPole(primal, function.critical, samples, _singular_facts(function, ordered, mask))


def _num_operands(singular: SingularPoint) -> int:
    return 1 if singular.other is None else 2


def _singular_facts(
    function: FunctionRow, ordered: list[np.ndarray], mask: np.ndarray
) -> AtSingularPoint:
    singular = function.singular
    assert singular is not None
    first = [np.broadcast_to(operand, mask.shape)[mask] for operand in ordered]
    points: tuple[tuple[float, ...], ...] = tuple(
        (float(point),) for point in np.unique(first[0])[::-1]
    )
    if singular.joint:
        points = ((float(first[0][0]), float(first[1][0])),)
    names = {"x": _as_python(points[0][0])}
    if len(first) > 1:
        names["y"] = _as_python(float(first[1].min()))
    return AtSingularPoint(points, singular.derivative.format(**names), singular.value)


def _as_python(number: float) -> str:
    return f"{number:.4g}" if number >= 0 else f"({number:.4g})"


def _of_unknown_function(evidence: Evidence, op: Op, primal: Op) -> MetPole | None:
    """A derivative with a pole, of a function without a row: a norm, a decomposition."""
    if evidence.bad(primal.results[0]).any() or primal.phase == "backward":
        return None
    if not finite_operands(evidence, op) or not _derivative_has_pole(evidence, op):
        return None
    bad = bad_elements(evidence)
    samples = samples_of(evidence, op, 0, bad) if op.operands else None
    return MetPole(primal, 0, samples, SingularDerivative())


def _derivative_has_pole(evidence: Evidence, op: Op) -> bool:
    """Whether a backward op divides by 0, or is the whole derivative of a function in one op."""
    function = row(op.name)
    if function.pole is not None and len(op.operands) > function.critical:
        critical = as_float(evidence.operand(op, function.critical))
        return bool((critical == function.pole.at).any())
    return op.is_derivative


def _inside_one_expression(evidence: Evidence, op: Op) -> MetPole | None:
    """A library function whose value is finite though an op inside it is not: `normalize(0)`."""
    by = discarded_by(evidence, op)
    if by is None or not same_expression(by, op):
        return None
    bad = bad_elements(evidence)
    called = (op.span and callee(op.span)) or op.name
    point = float(as_float(evidence.operand(op, 0))[bad][0])
    facts = SingularInside(called, point)
    return MetPole(op, 0, samples_of(evidence, op, 0, bad), facts, "backward")


def outside_domain(evidence: Evidence) -> OutsideOperand | None:
    """The root is a function, in the forward pass, of a finite number outside its domain."""
    op = evidence.op
    if op is None or _is_derivative(evidence, op) or not finite_operands(evidence, op):
        return None
    found = _outside_known_domain(evidence, op) or _nan_of_one_operand(evidence, op)
    if found is None:
        return None
    position, mask, domain = found
    at_fault = as_float(evidence.operand(op, position))[mask]
    worst = float(at_fault[np.argmax(np.abs(at_fault))])
    facts = OutsideDomain(worst, domain, int(mask.sum()), mask.size)
    return OutsideOperand(position, samples_of(evidence, op, position, mask), facts)


def _outside_known_domain(evidence: Evidence, op: Op) -> _Outside | None:
    function = row(op.name)
    if function.domain is None or len(op.operands) <= function.critical:
        return None
    operands = [as_float(evidence.operand(op, n)) for n in range(len(op.operands))]
    mask, bad = function.domain.excludes(*function.ordered(operands)), bad_elements(evidence)
    if mask.shape != bad.shape or not (mask & bad).any():
        return None
    return function.critical, mask & bad, function.domain


def _nan_of_one_operand(evidence: Evidence, op: Op) -> _Outside | None:
    """A function of one finite number is NaN, so the number is outside its domain."""
    if len(op.operands) != 1:
        return None
    mask = np.isnan(as_float(evidence.results_of(op)))
    if evidence.values[op.operands[0]].shape != mask.shape or not mask.any():
        return None
    return 0, mask, None
