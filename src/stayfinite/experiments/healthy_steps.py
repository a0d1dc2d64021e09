"""Compare a patched program on healthy steps, and see whether training goes on from there."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from stayfinite.experiments.comparison import (
    MOVED,
    TOLERANCE,
    RoundingError,
    alike,
    alike_loss,
    equal,
    half_dtype,
    largest_gradient,
    rounding_errors,
    shares,
    tolerance,
)
from stayfinite.experiments.loss_scale import run_unscaled
from stayfinite.experiments.rollout import goes_on, is_good
from stayfinite.experiments.time_limit import TimeLimit
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Compiled, OnBatch, Unchanged, WholeIteration, WiderDtype
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.incident import Objection

# Seconds: of the healthy steps, and of the steps after the failing one.
_SECONDS = 4.0
_SECONDS_AFTER = 2.0
_MAX_BYTES = 2**28
# How many times its loss the batch may have some steps later; in any training it goes up and down.
_GROWTH = 10.0
# A bound so far above every healthy loss leaves gradients that stay in the moments of an optimizer:
# Adam divides by their root for the rest of the training.
_FAR = 1e6
# The same where the exact loss is infinite: the loss is then as arbitrary as the bound. That of a
# logarithm stays below, as no bound of a float makes one larger than a hundred.
_FAR_OF_INFINITE = 1e4
# The failing step may be moved by more than the healthy ones, to this factor.
_MARGIN = 2.0


class HealthySteps:
    """The healthy batches, and what the unpatched code computes on them."""

    def __init__(self, step: Step, batches: Sequence[Batch]) -> None:
        self._step = step
        self._whole = step.changed(WholeIteration())
        self._batches = batches
        self._wide: list[Outcome | None] = []
        self._seconds_a_step = 0.0
        self._are_equal = False

    def count(self) -> int:
        """How many healthy steps there are. They are run now, if they were not before."""
        return len(self._unpatched)

    @property
    def are_whole(self) -> bool:
        """Whether each was compared with the other updates of its iteration, as of a GAN."""
        return self._step.subject.is_iteration_whole

    @property
    def are_equal(self) -> bool:
        """Whether the patch that was compared last gave the same numbers, not others by roundings.

        A training that goes on with it is then that of the patched file from the start.
        """
        return self._are_equal

    def objection(self, unscaled: Step, *, clamps: bool) -> Objection | NotTried | None:
        """Why a patch with which the failing step is finite is not verified; None if it may be.

        Args:
            unscaled: The failing step with the patch in place, with the gradients that a loss
                scale hides.
            clamps: Whether the patch may bound a value. Roundings are then no excuse for a loss
                that is moved by more than they move it.
        """
        clamps = clamps and self.tolerance <= TOLERANCE
        whole = unscaled.changed(WholeIteration())
        timed = TimeLimit(_SECONDS)
        seconds = 0.0
        self._are_equal = True
        for number, (batch, before, exact) in enumerate(self._unpatched):
            began = timed.spent
            healthy = whole.changed(OnBatch(batch))
            ran = attempt(functools.partial(run_unscaled, healthy))
            if isinstance(ran, NotTried):
                return ran
            patched, after = ran
            seconds += timed.spent - began
            self._are_equal = self._are_equal and equal(before, after)
            is_moved = clamps and not alike_loss(before.loss, after.loss, MOVED)
            if not is_moved and alike(before, after, self.tolerance):
                continue
            if exact is not None and _is_as_near(exact, before, patched, after):
                continue
            wide = self._wide[number] if number < len(self._wide) else None
            if wide is not None and alike(wide, after, TOLERANCE):
                off = abs(wide.loss - before.loss) + MOVED * abs(wide.loss)
                if not is_moved or abs(wide.loss - after.loss) <= off:
                    continue
            rounding = attempt(functools.partial(_rounding_error, patched))
            if isinstance(rounding, NotTried):
                return rounding
            if is_moved and (rounding is None or abs(before.loss - after.loss) > rounding.loss):
                return Objection.CHANGES_HEALTHY_STEPS
            if not alike(before, after, self.tolerance, rounding):
                return Objection.CHANGES_HEALTHY_STEPS
        self._seconds_a_step = seconds / max(self.count(), 1)
        return None

    def objection_after(self, step: Step, outcome: Outcome) -> Objection | NotTried | None:
        """Why training does not go on from the failing step with a patch in place.

        Args:
            step: That step.
            outcome: What it gives, with the gradients that a loss scale hides.
        """
        if self._seconds_a_step > _SECONDS_AFTER / 2:
            # There is time for one more such step, which would show nothing.
            return None
        on = attempt(
            lambda: goes_on(step, outcome, self._batches, growth=_GROWTH, seconds=_SECONDS_AFTER)
        )
        if isinstance(on, NotTried):
            return on
        return None if on else Objection.DOES_NOT_GO_ON

    def newest(self, step: Step) -> Outcome | None:
        """What `step`, with a patch in place or not, gives on the newest healthy batch."""
        if not self._unpatched:
            return None
        ran = attempt(lambda: step.changed(OnBatch(self._unpatched[0][0])).run(Unchanged()))
        return None if isinstance(ran, NotTried) else ran

    def compare_compiled(self, after: Outcome) -> None:
        """Compare the newest step as one program, too. No patch may be in place.

        A compiler may round a patched step otherwise, although each operation gives the same.
        """
        if self._are_equal:
            before = self._compiled
            self._are_equal = before is not None and equal(before, after)

    @functools.cached_property
    def _compiled(self) -> Outcome | None:
        return self.newest(self._step.changed(Compiled()))

    def widen(self) -> bool:
        """Run the unpatched healthy steps in float64, too; False where that was done before.

        What float32 makes of them may have fewer digits than a patch has. No patch may be in
        place.
        """
        if self._wide or half_dtype(self._step) is not None:
            return False
        limit = TimeLimit(_SECONDS)
        for batch, _, _ in self._unpatched:
            if limit.is_over:
                break
            step = self._whole.changed(OnBatch(batch))
            wide = attempt(functools.partial(step.run, WiderDtype()))
            self._wide.append(None if isinstance(wide, NotTried) else wide)
        return bool(self._wide)

    def half_roundings(self, reference: Outcome) -> RoundingError:
        """How far half precision moves the gradients of the unpatched code, at a step like these.

        It flushes small ones to 0, which no rounding of a weight shows.
        """
        found = dict.fromkeys(reference.gradients, 0.0)
        for _, before, exact in self._unpatched:
            if exact is None or not is_good(exact):
                continue
            for name, share in shares(exact, before).items():
                size = float(np.max(np.abs(reference.gradients.get(name, 0.0)), initial=0.0))
                found[name] = max(found.get(name, 0.0), _MARGIN * share * size)
        return RoundingError(0.0, found)

    def is_far_below(self, loss: float, *, has_exact: bool) -> bool:
        """Whether every healthy loss is smaller than `loss` by orders of magnitude.

        `has_exact`: the exact loss of the step is known, and finite.
        """
        largest = max((abs(before.loss) for _, before, _ in self._unpatched), default=math.inf)
        return abs(loss) > (_FAR if has_exact else _FAR_OF_INFINITE) * max(largest, 1.0)

    def far_gradients(self, outcome: Outcome) -> float | None:
        """How many times those of every healthy step the gradients are; None if not far above."""
        sizes = (largest_gradient(before) for _, before, _ in self._unpatched)
        healthy, found = max(sizes, default=0.0), largest_gradient(outcome)
        return found / healthy if 0.0 < _FAR * healthy <= found else None

    @functools.cached_property
    def _unpatched(self) -> list[tuple[Batch, Outcome, Outcome | None]]:
        """The steps with what the unpatched code made of them, within time and memory.

        In half precision also with what it makes of them in float64.
        """
        found: list[tuple[Batch, Outcome, Outcome | None]] = []
        is_half = half_dtype(self._step) is not None
        limit = TimeLimit(_SECONDS)
        num_bytes = 0
        for batch in self._batches:
            step, outcome = run_unscaled(self._whole.changed(OnBatch(batch)))
            if is_good(outcome):
                wide = attempt(functools.partial(step.run, WiderDtype())) if is_half else None
                found.append((batch, outcome, None if isinstance(wide, NotTried) else wide))
                num_bytes += sum(gradient.nbytes for gradient in outcome.gradients.values())
            if limit.is_over or num_bytes > _MAX_BYTES:
                break
        return found

    @functools.cached_property
    def tolerance(self) -> float:
        """How far two correct ways to write the step may differ, relative to its values."""
        return tolerance(self._step)


def _is_as_near(exact: Outcome, before: Outcome, patched: Step, after: Outcome) -> bool:
    """Whether a step that half precision rounds is the same in float64, and no farther from it."""
    wide = attempt(functools.partial(patched.run, WiderDtype()))
    if isinstance(wide, NotTried) or not alike(exact, wide, TOLERANCE):
        return False
    allowed = abs(before.loss - exact.loss) + TOLERANCE * abs(exact.loss)
    return abs(after.loss - exact.loss) <= allowed


def _rounding_error(step: Step) -> RoundingError | None:
    return next(rounding_errors(step), None)
