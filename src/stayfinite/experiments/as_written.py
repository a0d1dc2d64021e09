"""The failing step as it is written, and what is known of its exact value."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.facts.expressions import (
    AtLogPole,
    EmptyCount,
    ExtremeOfNothing,
    FullyMaskedRow,
    NothingToReduce,
    OutsideDomain,
    SingularMatrix,
    ZeroDivisor,
)
from stayfinite.diagnose.facts.new_state import BadNewStatistic, BadNewWeights, Reason
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.diagnose.values import as_float
from stayfinite.experiments.formulas import Formula, answer
from stayfinite.experiments.rounding import approached
from stayfinite.experiments.try_change import NotTried
from stayfinite.frameworks.step import Outcome
from stayfinite.numerics.dtypes import spacing
from stayfinite.repair.engine.evaluate import BadFormula
from stayfinite.repair.engine.reference import Kind


@dataclass(frozen=True)
class AsWritten:
    """The failing step without a fix.

    Args:
        outcome: What it gives.
        wide: What it gives in float64.
        formula: The innermost function at fault as a formula, if it has one.
        mechanism: The kind of failure.
        tolerance: How far two correct ways to write one thing may differ.
        kind: The kind of exact value by the facts of the finding, at an operand that is exact.
        has_nan_state: Whether NaN is among the new state; asked where that alone is bad.
    """

    outcome: Outcome
    wide: Outcome | NotTried
    formula: Formula | None
    mechanism: str | None
    tolerance: float
    kind: Kind | None = None
    has_nan_state: bool = False

    @property
    def fails_in_state_alone(self) -> bool:
        """Whether loss and gradients are finite, so that they do not show the failure."""
        outcome = self.outcome
        finite = math.isfinite(outcome.loss) and not outcome.bad_gradients
        return finite and bool(outcome.bad_state)

    @property
    def has_infinite_gradient(self) -> bool:
        """Whether the exact gradient of the step is infinite, and its loss is finite.

        A product of 0 and an infinite derivative is NaN, and its limit may be finite. At a cusp it
        depends on the framework which side an infinity is of, and whether it is one.
        """
        wide = self.wide
        if isinstance(wide, NotTried) or not math.isfinite(wide.loss):
            return answer(
                self.formula, lambda f: f.has_infinite_gradient_of_weight, otherwise=False
            )
        if not any(bool(np.isinf(as_float(g)).any()) for g in wide.gradients.values()):
            return False
        return answer(self.formula, lambda f: not (f.has_gradient or f.is_cusp), otherwise=True)

    @property
    def has_rounded_operand(self) -> bool:
        """Whether an infinity of the formula comes from a number that was rounded before it."""
        return self.formula is not None and self.formula.has_rounded_operand

    @property
    def may_be_infinite(self) -> bool:
        """Whether the loss in float64 leaves open that the exact loss is infinite.

        A loss of NaN does not: an infinity inside it may cancel, as in a quotient of exponentials.
        """
        return not isinstance(self.wide, NotTried) and not math.isnan(self.wide.loss)

    @property
    def kinds(self) -> set[Kind]:
        """Those of the formula, or what the facts say where there is none."""
        if self.formula is None:
            return set() if self.kind is None else {self.kind}
        try:
            return set(self.formula.reference.kinds.flat)
        except BadFormula:
            return set()


def kind_by_facts(diagnosis: Diagnosis) -> Kind | None:
    """The kind of exact value that an operation of a library has at its operands, if it is known.

    At an operand that was rounded on the way, nothing is known.
    """
    evidence, finding = diagnosis.evidence, diagnosis.finding
    facts = finding.facts
    if isinstance(facts, BadNewStatistic | BadNewWeights) and isinstance(facts.reason, Reason):
        facts = facts.reason.facts
    match facts:
        case OutsideDomain() | ZeroDivisor(is_nan=True):
            return Kind.UNDEFINED
        case SingularMatrix(num_rows=rows, smallest=smallest, largest=size):
            # As far as float64, in which the matrix was looked at, can tell.
            is_exact = smallest <= rows * spacing("float64") * size
            return Kind.UNDEFINED if is_exact else None
        case NothingToReduce() | ExtremeOfNothing() | EmptyCount():
            return Kind.UNDEFINED
        case FullyMaskedRow(is_infinite=is_infinite):
            return Kind.NO_ROOM if is_infinite else Kind.UNDEFINED
        case ZeroDivisor() | AtLogPole():
            kind = Kind.NO_ROOM
        case _:
            return None
    critical = finding.critical
    if critical is None:
        return None
    rounded = np.isin(
        as_float(evidence.values.loaded(critical.value)),
        approached(evidence.trace, critical.value),
    )
    return None if rounded.any() else kind
