"""What a fix does to the value of the failing step, compared with exact arithmetic.

The reference is the step as written in float64, where that is finite and float64 suffices; else
what the engine knows of the formula from arithmetic with as many digits as needed.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable
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
from stayfinite.experiments.comparison import (
    MOVED,
    TOLERANCE,
    RoundingError,
    alike,
    alike_loss,
    alike_within,
    equal,
)
from stayfinite.experiments.formulas import Formula
from stayfinite.experiments.rewritings import Rewriting
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.rounding import approached
from stayfinite.experiments.try_change import NotTried
from stayfinite.frameworks.step import Outcome
from stayfinite.numerics.dtypes import largest, spacing
from stayfinite.repair.engine.evaluate import BadFormula
from stayfinite.repair.engine.problem import FixValue
from stayfinite.repair.engine.reference import Kind


@dataclass(frozen=True)
class Judged:
    """What a fix does to the value.

    Args:
        value: None where it could not be computed.
        reference_loss: The loss of the failing step in exact arithmetic, if known.
        lacks_gradient: Whether the value is undefined as the exact gradient is infinite, while the
            loss is the exact one.
    """

    value: FixValue | None
    reference_loss: float | None = None
    lacks_gradient: bool = False


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

        A product of 0 and an infinite derivative is NaN, and its limit may be finite.
        """
        wide = self.wide
        if isinstance(wide, NotTried) or not math.isfinite(wide.loss):
            return self._has_infinite_gradient_of_weight
        if not any(bool(np.isinf(as_float(g)).any()) for g in wide.gradients.values()):
            return False
        try:
            return self.formula is None or not self.formula.has_gradient
        except BadFormula:
            return True

    @property
    def _has_infinite_gradient_of_weight(self) -> bool:
        try:
            return self.formula is not None and self.formula.has_infinite_gradient_of_weight
        except BadFormula:
            return False

    @property
    def has_rounded_operand(self) -> bool:
        """Whether an infinity of the formula comes from a number that was rounded before it."""
        return self.formula is not None and self.formula.has_rounded_operand


def judged(
    before: AsWritten,
    after: Outcome,
    rewriting: Rewriting | None,
    wide_after: Callable[[], Outcome | NotTried],
    rounding: Callable[[], Iterable[RoundingError]],
    *,
    clamps: bool,
) -> Judged:
    """The value of the failing step with a fix, as `_compared` finds it, if there is a gradient."""
    found = _compared(before, after, rewriting, wide_after, rounding, clamps=clamps)
    if found.value is FixValue.EXACT and before.has_infinite_gradient:
        return Judged(FixValue.UNDEFINED, found.reference_loss, lacks_gradient=True)
    return found


def _compared(
    before: AsWritten,
    after: Outcome,
    rewriting: Rewriting | None,
    wide_after: Callable[[], Outcome | NotTried],
    rounding: Callable[[], Iterable[RoundingError]],
    *,
    clamps: bool,
) -> Judged:
    """The value by a comparison with exact arithmetic.

    Args:
        before: The step without it.
        after: The step with it, finite.
        rewriting: What the engine claims, if the fix is a rewriting of it.
        wide_after: Runs the step with it in float64.
        rounding: How far roundings alone may move the step with it, in growing estimates.
        clamps: Whether the fix may bound a value.
    """
    claim = None if rewriting is None else rewriting.value
    formula = before.formula if rewriting is None else rewriting.formula
    if claim is FixValue.EXACT and _depends_on_rounding(formula):
        claim = FixValue.CHANGED
    if before.fails_in_state_alone:
        if not alike(before.outcome, after, before.tolerance):
            return Judged(FixValue.CHANGED, before.outcome.loss)
        return Judged(_value_of_state(before, claim), before.outcome.loss)
    run_wide = functools.cache(wide_after)

    def is_moved(loss: float) -> bool:
        # Two forms of a formula differ by roundings; a clamp moves the value by more than they do.
        is_clamp = rewriting is None or rewriting.bounds
        if not is_clamp or before.tolerance > TOLERANCE:
            return False
        if alike_loss(loss, after.loss, MOVED):
            return False
        error = next(iter(rounding()), None)
        return error is None or abs(loss - after.loss) > error.loss

    def same(reference: Outcome) -> bool:
        if is_moved(reference.loss):
            return False
        if before.tolerance > TOLERANCE:
            # Half precision moves the step by more than some bounds do; float64 does not.
            wide = run_wide()
            if not isinstance(wide, NotTried) and not alike(reference, wide, TOLERANCE):
                return False
            if clamps and not isinstance(wide, NotTried) and equal(reference, wide):
                # The bound is in the place of a number that half precision has rounded to 0: in
                # float64 that number is above it. How far roundings move the rest is no measure.
                return alike(reference, after, before.tolerance)
        # Further runs find further roundings of gradients; a loss is a mean that they hardly move.
        count = None if _same_loss(reference.loss, after, before) else 2
        return alike_within(
            reference, after, before.tolerance, lambda: itertools.islice(rounding(), count)
        )

    def same_in_float64() -> bool:
        wide = run_wide()
        return not isinstance(wide, NotTried) and same(wide)

    def as_claimed() -> FixValue | None:
        if isinstance(run_wide(), NotTried):
            return None
        return FixValue.EXACT if same_in_float64() else FixValue.CHANGED

    def loss_in_float64() -> float | None:
        wide = run_wide()
        return None if isinstance(wide, NotTried) or not is_good(wide) else wide.loss

    wide = before.wide
    if not isinstance(wide, NotTried) and is_good(wide):
        if not _has_room(wide):
            return Judged(FixValue.BOUNDED, wide.loss)
        if _is_accurate(formula):
            return Judged(FixValue.EXACT if same(wide) else FixValue.CHANGED, wide.loss)
        if claim is FixValue.EXACT:
            return Judged(as_claimed(), loss_in_float64())
        return Judged(FixValue.CHANGED, None)
    loss = None if isinstance(wide, NotTried) or not math.isfinite(wide.loss) else wide.loss
    if claim is FixValue.EXACT and not _is_accurate(formula, with_gradient=False):
        loss = None  # as of 1 ** inf, which is 1 in floating point
    if loss is not None and abs(loss) > largest("float32"):
        return Judged(FixValue.BOUNDED, loss)
    if loss is not None and claim is FixValue.EXACT and not _same_loss(loss, after, before):
        return Judged(FixValue.CHANGED, loss)
    if claim is FixValue.EXACT:
        return Judged(as_claimed(), loss if loss is not None else loss_in_float64())
    if claim is FixValue.BOUNDED and before.has_rounded_operand:
        claim = FixValue.CHANGED
    if claim is FixValue.BOUNDED and not _may_be_infinite(before):
        return Judged(None, loss)
    if claim is FixValue.CHANGED and loss is None and _lacks_value(formula):
        claim = FixValue.UNDEFINED
    if claim is not None:
        return Judged(claim, loss)
    return Judged(_without_claim(before, after, loss, is_moved, same_in_float64), loss)


def _without_claim(
    before: AsWritten,
    after: Outcome,
    loss: float | None,
    is_moved: Callable[[float], bool],
    same_in_float64: Callable[[], bool],
) -> FixValue | None:
    """The value where the step has none in float64, and the fix is no rewriting of the engine."""
    if before.mechanism == "singular-gradient":
        # The value exists, and the derivative does not.
        written = before.outcome.loss
        unchanged = math.isfinite(written) and _same_loss(written, after, before)
        if unchanged and not is_moved(written) and same_in_float64():
            return FixValue.EXACT
    if before.mechanism == "masked-branch":
        # A discarded value does not affect the result, so any finite number may replace it.
        return FixValue.EXACT if same_in_float64() else FixValue.CHANGED
    if loss is not None and not _same_loss(loss, after, before):
        return FixValue.CHANGED
    if loss is not None:
        # The loss leaves out what has no value, as the rows of padding, and its gradient does not.
        has_no_sign = before.mechanism == "division-by-zero" and before.kind is Kind.NO_ROOM
        return FixValue.UNDEFINED if has_no_sign or before.kind is Kind.UNDEFINED else None
    kinds = _kinds(before)
    # A maximum of infinities has their value, and stands for that of no elements.
    is_of_nothing = before.mechanism == "empty-reduction" and before.kind is Kind.UNDEFINED
    if Kind.UNDEFINED in kinds or is_of_nothing:
        return FixValue.UNDEFINED
    if Kind.NO_ROOM not in kinds:
        return None
    if before.has_rounded_operand:
        return FixValue.CHANGED
    if _may_be_infinite(before):
        return FixValue.BOUNDED
    if before.kind is not Kind.NO_ROOM:
        return None
    # The logarithm of an exact 0 is infinite, whatever is made of it; a quotient by 0 has no sign.
    return FixValue.BOUNDED if before.mechanism == "log-of-zero" else FixValue.UNDEFINED


def _value_of_state(before: AsWritten, claim: FixValue | None) -> FixValue | None:
    """The value where new weights or statistics alone are non-finite."""
    if claim is FixValue.EXACT:
        return claim
    kinds = {before.kind, *_kinds(before)}
    if Kind.UNDEFINED in kinds:
        return FixValue.UNDEFINED
    if Kind.NO_ROOM not in kinds or before.has_rounded_operand:
        return None
    return FixValue.UNDEFINED if before.has_nan_state else FixValue.BOUNDED


def _may_be_infinite(before: AsWritten) -> bool:
    """Whether the loss in float64 leaves open that the exact loss is infinite.

    A loss of NaN does not: an infinity inside it may cancel, as in a quotient of exponentials.
    """
    return not isinstance(before.wide, NotTried) and not math.isnan(before.wide.loss)


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


def _kinds(before: AsWritten) -> set[Kind]:
    """Those of the formula, or what the facts say where there is none."""
    if before.formula is None:
        return set() if before.kind is None else {before.kind}
    try:
        return set(before.formula.reference.kinds.flat)
    except BadFormula:
        return set()


def _lacks_value(formula: Formula | None) -> bool:
    """Whether the formula is undefined at its operands, none of which was rounded before it."""
    if formula is None or formula.has_rounded_operand:
        return False
    try:
        return formula.reference.has(Kind.UNDEFINED)
    except BadFormula:
        return False


def _is_accurate(formula: Formula | None, *, with_gradient: bool = True) -> bool:
    """Whether float64 suffices for the formula as written, as far as is known."""
    if formula is None:
        return True
    try:
        return formula.has_value_in_float64(with_gradient=with_gradient)
    except BadFormula:
        return True


def _depends_on_rounding(formula: Formula | None) -> bool:
    """Whether what the formula is claimed to give is decided by a number that was rounded."""
    if formula is None:
        return False
    try:
        return formula.depends_on_rounding
    except BadFormula:
        return False


def _has_room(outcome: Outcome) -> bool:
    """Whether float32 can hold what the step gives in float64."""
    arrays = [np.asarray(outcome.loss), *outcome.gradients.values()]
    top = largest("float32")
    return all(float(np.abs(as_float(a)).max(initial=0.0)) <= top for a in arrays)


def _same_loss(loss: float, after: Outcome, before: AsWritten) -> bool:
    return alike_loss(loss, after.loss, before.tolerance)
