"""Try patches on the failing step, and compare them with healthy steps and exact arithmetic.

A patch is tried as it will be printed: the patched file is compiled and put in the place of the
running functions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math

from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.diagnose.locate import Diagnosis, diagnose
from stayfinite.diagnose.origin import shown_path
from stayfinite.experiments.applied_patch import AppliedPatch
from stayfinite.experiments.as_written import AsWritten
from stayfinite.experiments.bad_line import bad_line
from stayfinite.experiments.changes import SourcePatch
from stayfinite.experiments.comparison import (
    alike,
    equal,
)
from stayfinite.experiments.fix_value import Judged
from stayfinite.experiments.formulas import Formula
from stayfinite.experiments.half_room import has_room
from stayfinite.experiments.healthy_steps import HealthySteps
from stayfinite.experiments.loss_scale import run_unscaled
from stayfinite.experiments.patch_value import (
    InHalf,
    PatchValue,
    in_half,
    run_in_float64,
    step_as_written,
)
from stayfinite.experiments.rollout import is_good
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.experiments.try_change import Experiment, NotTried, attempt
from stayfinite.experiments.wider_edits import half_of
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Compiled, Source, Unchanged
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.incident import Objection
from stayfinite.repair import KnownFunctions, filenames
from stayfinite.repair.engine.problem import FixValue

_MAX_EDITS = 3
# A larger step takes some seconds to compile as one program. A patch without a comparison has a
# continuous value there, which a rounding moves a little.
_MAX_COMPILED_OPS = 2000
_RIGHT = (FixValue.EXACT, FixValue.BOUNDED)


class PatchTrials:
    """The patches that were tried on one failing step."""

    def __init__(
        self,
        step: Step,
        diagnosis: Diagnosis,
        wider: Float64Run,
        healthy: list[Batch],
        path: str | None,
    ) -> None:
        """The arguments are those of `fix_search.find_source_fix`."""
        self._step = step
        self._wider = wider
        self._healthy = HealthySteps(step, healthy)
        self._value = PatchValue(diagnosis, self._healthy)
        # The newest healthy step with the patch that was tried last, as one program.
        self._newest_compiled: Outcome | None = None
        self._path = path
        self._diagnosis = diagnosis
        self._tried: list[SourceFix] = []
        self._functions = KnownFunctions()
        self.formula: Formula | None = None
        """The innermost function at fault as a formula, once it is known."""

    @property
    def best(self) -> SourceFix | None:
        """The best patch that was tried."""
        return min(self._tried, key=lambda fix: fix.rank, default=None)

    def trial(self, applied: AppliedPatch) -> SourceFix | Diagnosis | None:
        """The fix by a patch; where the step fails elsewhere with it, the diagnosis of that.

        None where the step fails with a patch that is not to be edited further, or raises.
        """
        further: Diagnosis | None = None
        trouble: Objection | NotTried | None = None
        value = Judged(None)
        half: InHalf | None = None
        self._newest_compiled = None
        line: int | None = None
        num_healthy = self._healthy.count()  # run before the patch is in place
        before = self._as_written
        with contextlib.ExitStack() as stack:
            # Finding the live functions is most of the cost, so it is done once for all runs.
            ran = attempt(lambda: self._run_with(applied, stack))
            if isinstance(ran, NotTried):
                # Code that raises is no fix. A patch that could not be put in place may be one.
                is_code = ran.error is not None
                return None if is_code else self._fix(applied, None, ran, value, 0)
            step, unscaled, outcome = ran
            if is_good(outcome):
                if applied.only_casts:
                    # As written, JAX rounds a literal to half precision before float64 is asked.
                    wide = run_in_float64(Float64Run(unscaled))
                    before = dataclasses.replace(before, wide=wide)

                value = self._value.of(applied, before, unscaled, outcome)
                outcome, value, trouble = self._proved(applied, before, ran, value)
                if value.value is FixValue.EXACT and half_of(self._diagnosis) is not None:
                    half = in_half(before, step, unscaled, outcome)
                    if trouble is None and not has_room(unscaled, applied.patch):
                        trouble = Objection.HAS_NO_ROOM
                if value.value in _RIGHT and trouble is None:
                    line = bad_line(self._diagnosis, applied.patch, unscaled)
            elif applied.ends_in_cast and math.isfinite(outcome.loss):
                pass  # its gradients have no room: more has to be wider, see `wider_edits`
            elif len(applied.descriptions) < _MAX_EDITS and applied.rewriting is None:
                further = diagnose(unscaled, outcome, Float64Run(unscaled), {})
                if applied.ends_in_cast and _fails_alike(self._diagnosis, further):
                    return None  # autocast, or the library, takes the cast back
        if not is_good(outcome):
            return further
        if self._newest_compiled is not None:
            self._healthy.compare_compiled(self._newest_compiled)
        if (
            trouble is Objection.CHANGES_HEALTHY_STEPS
            and value.value is FixValue.EXACT
            and self._healthy.widen()
        ):
            with contextlib.ExitStack() as stack:
                ran = self._run_with(applied, stack)
                outcome, value, trouble = self._proved(applied, before, ran, value)
        if value.value is FixValue.EXACT and self._moves_with_its_bound(applied, before, outcome):
            value = Judged(FixValue.CHANGED, value.reference_loss)
        experiment = Experiment(SourcePatch(), outcome, outcome.finite)
        count = 0 if trouble else num_healthy
        return self._fix(applied, experiment, trouble, value, count, half, line)

    def _proved(
        self,
        applied: AppliedPatch,
        before: AsWritten,
        ran: tuple[Step, Step, Outcome],
        value: Judged,
    ) -> tuple[Outcome, Judged, Objection | NotTried | None]:
        """The outcome and value of the step as training makes it, and why the patch is no fix.

        A compiler that has the whole step computes a value again where it is read, and may round
        it differently there: a comparison may see 0, and the root next to it another number.
        """
        step, unscaled, outcome = ran
        trouble = self._healthy.objection(unscaled, clamps=applied.clamps)
        if trouble is not None:
            return outcome, value, trouble
        is_small = len(self._step.trace.ops) <= _MAX_COMPILED_OPS
        if value.value in _RIGHT and (is_small or applied.compares):
            compiled = unscaled.changed(Compiled())
            whole = attempt(lambda: compiled.run(Unchanged()))
            if isinstance(whole, NotTried):
                return outcome, value, whole
            if not is_good(whole):
                return outcome, value, Objection.FAILS_COMPILED
            rounds_otherwise = not equal(outcome, whole)
            if not alike(outcome, whole, before.tolerance):
                outcome, value = whole, self._value.of(applied, before, unscaled, whole)
            if self._healthy.are_equal and step is unscaled and rounds_otherwise:
                self._newest_compiled = self._healthy.newest(compiled)
            step = compiled if step is unscaled else step
        return outcome, value, self._healthy.objection_after(step, outcome)

    def _moves_with_its_bound(
        self, applied: AppliedPatch, before: AsWritten, outcome: Outcome
    ) -> bool:
        """Whether the step differs with a smaller bound: the bound is a part of its value."""
        is_checked = before.mechanism == "singular-gradient"
        tighter = applied.with_tighter_bounds() if is_checked else None
        if tighter is None:
            return False
        with contextlib.ExitStack() as stack:
            ran = attempt(lambda: self._run_with(tighter, stack))
            if isinstance(ran, NotTried):
                return False
            return self._value.changes_with_bound(before, ran[1], outcome)

    def failing_with(
        self, applied: AppliedPatch, stack: contextlib.ExitStack
    ) -> tuple[Step, Diagnosis] | None:
        """The step with a patch, and why it fails; None where it does not. `stack` removes it."""

        def run() -> tuple[Step, Outcome]:
            _, unscaled, outcome = self._run_with(applied, stack)
            patch = applied.patch
            stack.enter_context(patch.source.running_as(filenames(patch)))
            return unscaled, outcome

        ran = attempt(run)
        if isinstance(ran, NotTried) or is_good(ran[1]):
            return None
        step, outcome = ran
        return step, diagnose(step, outcome, Float64Run(step), {})

    def _run_with(
        self, applied: AppliedPatch, stack: contextlib.ExitStack
    ) -> tuple[Step, Step, Outcome]:
        """The step with a patch, the same with the gradients under a loss scale, its outcome."""
        stack.enter_context(applied.in_place(self._functions))
        step = self._step.changed(Source(contextlib.nullcontext))
        return step, *run_unscaled(step)

    def _fix(
        self,
        applied: AppliedPatch,
        experiment: Experiment | None,
        trouble: Objection | NotTried | None,
        value: Judged,
        num_healthy: int,
        half: InHalf | None = None,
        line: int | None = None,
    ) -> SourceFix:
        op = self._diagnosis.evidence.forward_op
        span = None if op is None else op.span
        changed = applied.patch.original.path
        own = span is not None and span.file == changed
        fix = SourceFix(
            applied.descriptions,
            applied.patch.diff(self._path if own else shown_path(changed)),
            num_healthy,
            experiment,
            trouble,
            value,
            None if self.formula is None else self.formula.operand(self._diagnosis),
            is_near=half is None or half.is_near,
            is_far_above=self._is_far_above(experiment, value),
            far_gradients=self._far_gradients(experiment),
            is_equal=self._healthy.are_equal,
            is_whole=self._healthy.are_whole,
            gradient_error=0.0 if half is None else half.gradient_error,
            bad_line=line,
            put_in_place=applied.put_in_place,
        )
        self._tried.append(fix)
        return fix

    def _is_far_above(self, experiment: Experiment | None, value: Judged) -> bool:
        result = None if experiment is None else experiment.result
        if value.value is not FixValue.BOUNDED or not isinstance(result, Outcome):
            return False
        has_exact = value.reference_loss is not None
        return self._healthy.is_far_below(result.loss, has_exact=has_exact)

    def _far_gradients(self, experiment: Experiment | None) -> float | None:
        result = None if experiment is None else experiment.result
        return self._healthy.far_gradients(result) if isinstance(result, Outcome) else None

    @functools.cached_property
    def _as_written(self) -> AsWritten:
        return step_as_written(
            self._step, self._diagnosis, self._wider, self.formula, self._healthy.tolerance
        )


def _fails_alike(one: Diagnosis, other: Diagnosis) -> bool:
    """Whether the same operation fails in half precision, in the same line."""
    ops = one.evidence.forward_op, other.evidence.forward_op
    if ops[0] is None or ops[1] is None or ops[0].span is None or ops[1].span is None:
        return False
    is_half = other.finding.mechanism == "half-overflow"
    return is_half and ops[0].name == ops[1].name and ops[0].span.line == ops[1].span.line
