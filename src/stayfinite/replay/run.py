"""Run the saved step of an incident on a live training, changed or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stayfinite.errors import UsageError
from stayfinite.experiments.try_change import attempt
from stayfinite.frameworks import base
from stayfinite.frameworks.change import Change
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.keras.saved_state import named_as, shapes_of, state_of_arrays
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.saved_names import differing_shape
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import Subject
from stayfinite.replay.misfit import Misfit, missing_variable, unknown_variable
from stayfinite.replay.outcomes import run_changed
from stayfinite.replay.saved_step import SavedStep
from stayfinite.report.replayed import Replayed


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
    missing = missing_variable(groups, saved)
    if missing is not None:
        return missing
    differing = differing_shape(shapes_of(same_model), saved.state)
    if differing is None:
        data = saved.data()
        # The user's own code may refuse it; the names then show whether something is missing.
        with named_as(saved.state):
            attempt(lambda: subject.prepare(data))
        groups = base.current().variables(subject)
    unknown = unknown_variable(groups, saved, saved.record.metrics)
    if unknown is not None:
        return Misfit(unknown)
    differing = differing or differing_shape(shapes_of(groups[:3]), saved.state)
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
    data = saved.data()
    return run_changed(lambda: _step(subject, saved, data), saved, changes, last, times)


def _step(subject: Subject, saved: SavedStep, data: object) -> Step:
    where = saved.incident.where
    bad = RecordedBatch(where.step, where.epoch, where.batch, data, 0)
    backend = base.current()
    failure = Failure(
        subject=subject.kept_alive(),
        state=state_of_arrays(backend.variables(subject), saved.state),
        bad=bad,
        keep=Path(),
        script=saved.incident.script,
    )
    return backend.step(failure)
