"""The value that the failing step has with a patch, held against exact arithmetic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.diagnose.values import as_float
from stayfinite.experiments.applied_patch import AppliedPatch
from stayfinite.experiments.as_written import AsWritten, kind_by_facts
from stayfinite.experiments.comparison import (
    RoundingError,
    added,
    alike_within,
    gradient_error,
    is_near,
    rounding_errors,
)
from stayfinite.experiments.fix_value import Judged, WithFix, judged
from stayfinite.experiments.formulas import Formula
from stayfinite.experiments.healthy_steps import HealthySteps
from stayfinite.experiments.loss_scale import is_skipped, run_unscaled
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.experiments.wider_edits import half_of
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.repair.engine.problem import FixValue


@dataclass(frozen=True)
class InHalf:
    """How a step in half precision, with a patch that is exact, compares with float64.

    Attributes:
        is_near: Whether its loss and gradients are those of float64, and it is no skipped step.
        gradient_error: The largest relative difference of a gradient.
    """

    is_near: bool
    gradient_error: float


def in_half(before: AsWritten, step: Step, unscaled: Step, outcome: Outcome) -> InHalf:
    """Compare with float64: the step with a patch, the same without a loss scale, its outcome."""
    exact = _exact(before.wide, unscaled)
    if exact is None:
        return InHalf(is_near=False, gradient_error=0.0)
    near = is_near(exact, outcome) and not is_skipped(step, unscaled)
    return InHalf(near, gradient_error(exact, outcome))


@dataclass(frozen=True)
class PatchValue:
    """Judges what patches make of one failing step.

    Attributes:
        diagnosis: Why the step fails.
        healthy: Steps before it.
    """

    diagnosis: Diagnosis
    healthy: HealthySteps

    def of(
        self, applied: AppliedPatch, before: AsWritten, patched: Step, outcome: Outcome
    ) -> Judged:
        """The value of the step with a patch, whose gradients are under no loss scale."""
        fix = WithFix(
            outcome,
            applied.rewriting,
            run_wide=lambda: run_in_float64(Float64Run(patched)),
            roundings=lambda: self._roundings(patched, before.wide),
            clamps=applied.clamps,
        )
        found = judged(before, fix)
        if applied.shifts and found.value is not FixValue.UNDEFINED:
            return dataclasses.replace(found, value=FixValue.CHANGED)
        if applied.replaces and found.value is FixValue.BOUNDED:
            return dataclasses.replace(found, value=FixValue.CHANGED)
        return found

    def changes_with_bound(self, before: AsWritten, tighter: Step, outcome: Outcome) -> bool:
        """Whether exact arithmetic with a smaller bound is another value than `outcome`.

        Of a root of high degree, and of the gradient of an exponent, a small bound leaves much.
        """
        exact = run_in_float64(Float64Run(tighter))
        if isinstance(exact, NotTried) or not is_good(exact):
            return False
        return not alike_within(
            exact, outcome, before.tolerance, lambda: self._roundings(tighter, before.wide)
        )

    def _roundings(self, step: Step, exact: Outcome | NotTried) -> Iterable[RoundingError]:
        """How far roundings alone may move the step with a patch."""
        errors = rounding_errors(step)
        if half_of(self.diagnosis) is None or isinstance(exact, NotTried):
            return errors
        return added(errors, self.healthy.half_roundings(exact))


def step_as_written(
    step: Step,
    diagnosis: Diagnosis,
    wider: Float64Run,
    formula: Formula | None,
    tolerance: float,
) -> AsWritten:
    """The failing step without a patch; `wider` is it in float64."""
    unscaled, outcome = run_unscaled(step)
    as_written = AsWritten(
        outcome,
        run_in_float64(wider if unscaled is step else Float64Run(unscaled)),
        formula,
        diagnosis.finding.mechanism,
        tolerance,
        kind_by_facts(diagnosis),
    )
    if not as_written.fails_in_state_alone:
        return as_written  # the new state is not asked about, and takes one more run
    return dataclasses.replace(as_written, has_nan_state=_has_nan_state(step, outcome))


def _has_nan_state(step: Step, outcome: Outcome) -> bool:
    numbers = [n for name, n in step.trace.new_state.items() if name in outcome.bad_state]
    return any(bool(np.isnan(as_float(a)).any()) for a in step.fetch(numbers).values())


def _exact(written: Outcome | NotTried, patched: Step) -> Outcome | None:
    """The failing step in float64: as written if that is finite, else with the patch."""
    exact = written
    if isinstance(exact, NotTried) or not is_good(exact):
        exact = run_in_float64(Float64Run(patched))
    return None if isinstance(exact, NotTried) else exact


def run_in_float64(wider: Float64Run) -> Outcome | NotTried:
    """The outcome of a step in float64, or the error that it raised."""
    return attempt(lambda: wider.outcome)
