"""Run the saved step of an incident on a live training, changed or not."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks import base
from stayfinite.frameworks.change import Change, OnState, Unchanged, WithoutSamples
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.keras.saved_state import (
    differing_shape,
    named_as,
    names_of,
    state_of_arrays,
    unknown_names,
)
from stayfinite.frameworks.recorder import RecordedBatch
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.frameworks.subject import Subject
from stayfinite.incident import Phase
from stayfinite.replay.saved_step import SavedStep
from stayfinite.report.replayed import Replayed

T = TypeVar("T")


@dataclass(frozen=True)
class Misfit:
    """The reason why a training is not that of an incident.

    `is_final`: it has the same variables, of other shapes, so that no other training will fit.
    """

    reason: str
    is_final: bool = False


def require_backend(saved: SavedStep) -> None:
    """Check that Keras runs on the framework of the incident.

    Raises:
        UsageError: it does not.
        CannotGuardError: as `base.current`.
    """
    present, expected = base.current().name, saved.incident.backend
    if present != expected:
        raise UsageError(
            f"Keras runs on {present!r}, and the incident is of {expected!r:.40}; set "
            f"KERAS_BACKEND to {expected:.40}"
        )


def misfit(subject: Subject, saved: SavedStep) -> Misfit | None:
    """Why the incident is not of this training; None if it is.

    Slots of the optimizer and metrics are made if they are missing.
    """
    groups = base.current().variables(subject)
    same_model = [*groups[:2], [], []]
    missing = [
        name for name in unknown_names(same_model, saved.state, ()) if name not in saved.state
    ]
    if missing:
        return Misfit(f"the incident has no {missing[0]:.200}")
    differing = differing_shape(same_model, saved.state)
    if differing is None:
        data = saved.data()
        # The user's own code may refuse it; the names then show whether something is missing.
        with named_as(saved.state):
            attempt(lambda: subject.prepare(data))
        groups = base.current().variables(subject)
    unknown = unknown_names(groups, saved.state, saved.record.metrics)
    if unknown:
        where = "only in the incident" if unknown[0] in saved.state else "not in the incident"
        return Misfit(f"{unknown[0]:.200} is {where}")
    differing = differing or differing_shape(groups[:3], saved.state)
    return None if differing is None else Misfit(differing, is_final=True)


def replay(
    subject: Subject, saved: SavedStep, changes: Sequence[Change], last: Change | None, times: int
) -> Replayed:
    """Run the saved step on the variables of `subject`, which keep their values.

    Args:
        subject: A training that fits `saved`.
        saved: The step.
        changes: Changes of the step, in this order.
        last: The change with which it is run.
        times: How often it is run.

    Raises:
        UsageError: it cannot be run, or not with a change.
    """
    for change in (*changes, last):
        if isinstance(change, WithoutSamples) and max(change.samples) >= saved.num_samples:
            raise UsageError(
                f"--change without-samples: sample {max(change.samples)} is not in the batch, "
                f"which has samples 0 to {saved.num_samples - 1}"
            )
    data = saved.data()
    made = attempt(lambda: _step(subject, saved, data))
    step = _required(made, "the saved step cannot be run on this model")
    for change in changes:
        made = attempt(functools.partial(step.changed, change))
        step = _required(made, "the step cannot be changed so")
    outcomes = []
    for _ in range(times):
        # Another step of the same values, because a step runs once and keeps the result.
        again = step.changed(OnState(step.state))
        outcome = attempt(functools.partial(again.run, last or Unchanged()))
        outcomes.append(_required(outcome, "the saved step cannot be run"))
    finite = tuple(_is_finite(outcome) for outcome in outcomes)
    shown = next((o for o, fine in zip(outcomes, finite, strict=True) if not fine), outcomes[-1])
    return Replayed(shown, _phase(step, shown), finite)


def _step(subject: Subject, saved: SavedStep, data: object) -> Step:
    where = saved.incident.where
    bad = RecordedBatch(where.step, where.epoch, where.batch, data, 0)
    backend = base.current()
    failure = Failure(
        subject=subject.kept_alive(),
        state=state_of_arrays(backend.variables(subject), saved.state),
        bad=bad,
        healthy=[],
        snapshots=[],
        losses=(),
        rerun=lambda: False,
        files=lambda: None,
        keep=Path(),
        script=saved.incident.script,
    )
    return backend.step(failure)


def _required(made: T | NotTried, doing: str) -> T:
    if isinstance(made, NotTried):
        error = "" if made.error is None else f"{made.error}: "
        raise UsageError(f"{doing}: {error}{' '.join(made.message.split())}")
    return made


def _is_finite(outcome: Outcome) -> bool:
    return outcome.finite and not outcome.bad_gradients


def _phase(step: Step, outcome: Outcome) -> Phase | None:
    """The first place, in the order of a step, that holds a non-finite value."""
    if _is_finite(outcome):
        return None
    if any(not _all_finite(array) for array in step.batch.arrays().values()):
        return "data"
    weights, others, _, _ = map(set, names_of(base.current().variables(step.subject)))
    if any(_is_bad_before(name in weights, array) for name, array in step.state_arrays().items()):
        return "load"
    if not math.isfinite(outcome.loss):
        return "forward"
    if outcome.bad_gradients:
        return "backward"
    return "statistics" if others.issuperset(outcome.bad_state) else "update"


def _is_bad_before(is_weight: bool, array: np.ndarray) -> bool:
    # A statistic of the user's own may hold an infinity on purpose.
    return (
        not _all_finite(array)
        if is_weight
        else bool(array.dtype.kind in "fc" and np.isnan(array).any())
    )


def _all_finite(array: np.ndarray) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
