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

from stayfinite.diagnose.values import as_float
from stayfinite.experiments.as_written import AsWritten
from stayfinite.experiments.comparison import (
    MOVED,
    TOLERANCE,
    RoundingError,
    alike,
    alike_loss,
    alike_within,
    equal,
)
from stayfinite.experiments.formulas import Formula, answer
from stayfinite.experiments.rewritings import Rewriting
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.try_change import NotTried
from stayfinite.frameworks.step import Outcome
from stayfinite.numerics.dtypes import largest
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
class WithFix:
    """The failing step with a fix.

    Args:
        outcome: What it gives, finite.
        rewriting: What the engine claims, if the fix is a rewriting of it.
        run_wide: Runs it in float64.
        roundings: How far roundings alone may move it, in growing estimates.
        clamps: Whether the fix may bound a value.
    """

    outcome: Outcome
    rewriting: Rewriting | None
    run_wide: Callable[[], Outcome | NotTried]
    roundings: Callable[[], Iterable[RoundingError]]
    clamps: bool

    @functools.cached_property
    def wide(self) -> Outcome | NotTried:
        """What it gives in float64."""
        return self.run_wide()

    @property
    def loss_in_float64(self) -> float | None:
        """Its loss in float64, if it is finite there."""
        wide = self.wide
        return None if isinstance(wide, NotTried) or not is_good(wide) else wide.loss


def judged(before: AsWritten, fix: WithFix) -> Judged:
    """The value of the failing step with a fix, by a comparison with exact arithmetic."""
    found = _Comparison(before, fix).found()
    if found.value is FixValue.EXACT and before.has_infinite_gradient:
        return Judged(FixValue.UNDEFINED, found.reference_loss, lacks_gradient=True)
    return found


class _Comparison:
    """The failing step as written and with a fix.

    Attributes:
        formula: The formula of the fix, or that of the function at fault.
        claim: What the engine says of the value, as far as it can know it.
    """

    def __init__(self, before: AsWritten, fix: WithFix) -> None:
        self._before = before
        self._fix = fix
        rewriting = fix.rewriting
        self.formula = before.formula if rewriting is None else rewriting.formula
        self.claim = None if rewriting is None else rewriting.value
        if self.claim is FixValue.EXACT and _depends_on_rounding(self.formula):
            self.claim = FixValue.CHANGED

    def found(self) -> Judged:
        """The value by the reference that there is: the state, float64, or the claim."""
        before, wide = self._before, self._before.wide
        if before.fails_in_state_alone:
            same = alike(before.outcome, self._fix.outcome, before.tolerance)
            value = self._value_of_state() if same else FixValue.CHANGED
            return Judged(value, before.outcome.loss)
        if isinstance(wide, NotTried) or not is_good(wide):
            return self._by_claim()
        if not _has_room(wide):
            return Judged(FixValue.BOUNDED, wide.loss)
        if _is_accurate(self.formula):
            return Judged(FixValue.EXACT if self._same(wide) else FixValue.CHANGED, wide.loss)
        if self.claim is FixValue.EXACT:
            return Judged(self._as_claimed(), self._fix.loss_in_float64)
        return Judged(FixValue.CHANGED, None)

    def _by_claim(self) -> Judged:
        """The value where the step as written has none in float64."""
        before, wide, claim = self._before, self._before.wide, self.claim
        loss = None if isinstance(wide, NotTried) or not math.isfinite(wide.loss) else wide.loss
        if claim is FixValue.EXACT and not _is_accurate(self.formula, with_gradient=False):
            loss = None  # as of 1 ** inf, which is 1 in floating point
        if loss is not None and abs(loss) > largest("float32"):
            return Judged(FixValue.BOUNDED, loss)
        if loss is not None and claim is FixValue.EXACT and not self._same_loss(loss):
            return Judged(FixValue.CHANGED, loss)
        if claim is FixValue.EXACT:
            return Judged(
                self._as_claimed(), loss if loss is not None else self._fix.loss_in_float64
            )
        if claim is FixValue.BOUNDED and before.has_rounded_operand:
            claim = FixValue.CHANGED
        if claim is FixValue.BOUNDED and not before.may_be_infinite:
            return Judged(None, loss)
        if claim is FixValue.CHANGED and loss is None and _lacks_value(self.formula):
            claim = FixValue.UNDEFINED
        return Judged(self._without_claim(loss) if claim is None else claim, loss)

    def _without_claim(self, loss: float | None) -> FixValue | None:
        """The value where the step has none in float64, and the fix is no rewriting."""
        before = self._before
        if before.mechanism == "singular-gradient":
            # The value exists, and the derivative does not.
            written = before.outcome.loss
            unchanged = math.isfinite(written) and self._same_loss(written)
            if unchanged and not self._is_moved(written) and self._same_in_float64():
                return FixValue.EXACT
        if before.mechanism == "masked-branch":
            # A discarded value does not affect the result, so any finite number may replace it.
            return FixValue.EXACT if self._same_in_float64() else FixValue.CHANGED
        if loss is not None and not self._same_loss(loss):
            return FixValue.CHANGED
        if loss is not None:
            # The loss leaves out what has no value, as rows of padding, and its gradient does not.
            has_no_sign = before.mechanism == "division-by-zero" and before.kind is Kind.NO_ROOM
            return FixValue.UNDEFINED if has_no_sign or before.kind is Kind.UNDEFINED else None
        kinds = before.kinds
        # A maximum of infinities has their value, and stands for that of no elements.
        is_of_nothing = before.mechanism == "empty-reduction" and before.kind is Kind.UNDEFINED
        if Kind.UNDEFINED in kinds or is_of_nothing:
            return FixValue.UNDEFINED
        if Kind.NO_ROOM not in kinds:
            return None
        if before.has_rounded_operand:
            return FixValue.CHANGED
        if before.may_be_infinite:
            return FixValue.BOUNDED
        if before.kind is not Kind.NO_ROOM:
            return None
        # The logarithm of an exact 0 is infinite, whatever is made of it; a quotient has no sign.
        return FixValue.BOUNDED if before.mechanism == "log-of-zero" else FixValue.UNDEFINED

    def _value_of_state(self) -> FixValue | None:
        """The value where new weights or statistics alone are non-finite."""
        before = self._before
        if self.claim is FixValue.EXACT:
            return self.claim
        kinds = {before.kind, *before.kinds}
        if Kind.UNDEFINED in kinds:
            return FixValue.UNDEFINED
        if Kind.NO_ROOM not in kinds or before.has_rounded_operand:
            return None
        return FixValue.UNDEFINED if before.has_nan_state else FixValue.BOUNDED

    def _as_claimed(self) -> FixValue | None:
        if isinstance(self._fix.wide, NotTried):
            return None
        return FixValue.EXACT if self._same_in_float64() else FixValue.CHANGED

    def _same_in_float64(self) -> bool:
        wide = self._fix.wide
        return not isinstance(wide, NotTried) and self._same(wide)

    def _same(self, reference: Outcome) -> bool:
        before, after = self._before, self._fix.outcome
        if self._is_moved(reference.loss):
            return False
        if before.tolerance > TOLERANCE:
            # Half precision moves the step by more than some bounds do; float64 does not.
            wide = self._fix.wide
            if not isinstance(wide, NotTried) and not alike(reference, wide, TOLERANCE):
                return False
            if self._fix.clamps and not isinstance(wide, NotTried) and equal(reference, wide):
                # The bound is in the place of a number that half precision has rounded to 0: in
                # float64 that number is above it. How far roundings move the rest is no measure.
                return alike(reference, after, before.tolerance)
        # Further runs find further roundings of gradients; a loss is a mean that they hardly move.
        count = None if self._same_loss(reference.loss) else 2
        return alike_within(
            reference,
            after,
            before.tolerance,
            lambda: itertools.islice(self._fix.roundings(), count),
        )

    def _is_moved(self, loss: float) -> bool:
        """Whether a clamp moves the loss by more than roundings, by which two forms differ."""
        rewriting, after = self._fix.rewriting, self._fix.outcome
        is_clamp = rewriting is None or rewriting.bounds
        if not is_clamp or self._before.tolerance > TOLERANCE:
            return False
        if alike_loss(loss, after.loss, MOVED):
            return False
        error = next(iter(self._fix.roundings()), None)
        return error is None or abs(loss - after.loss) > error.loss

    def _same_loss(self, loss: float) -> bool:
        return alike_loss(loss, self._fix.outcome.loss, self._before.tolerance)


def _lacks_value(formula: Formula | None) -> bool:
    """Whether the formula is undefined at its operands, none of which was rounded before it."""
    return answer(
        formula,
        lambda f: not f.has_rounded_operand and f.reference.has(Kind.UNDEFINED),
        otherwise=False,
    )


def _is_accurate(formula: Formula | None, *, with_gradient: bool = True) -> bool:
    """Whether float64 suffices for the formula as written, as far as is known."""
    return answer(
        formula, lambda f: f.has_value_in_float64(with_gradient=with_gradient), otherwise=True
    )


def _depends_on_rounding(formula: Formula | None) -> bool:
    """Whether what the formula is claimed to give is decided by a number that was rounded."""
    return answer(formula, lambda f: f.depends_on_rounding, otherwise=False)


def _has_room(outcome: Outcome) -> bool:
    """Whether float32 can hold what the step gives in float64."""
    arrays = [np.asarray(outcome.loss), *outcome.gradients.values()]
    top = largest("float32")
    return all(float(np.abs(as_float(a)).max(initial=0.0)) <= top for a in arrays)
