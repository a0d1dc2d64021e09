"""The saved step of an incident on a training without Keras, at the first step of its script."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from stayfinite.frameworks import base
from stayfinite.frameworks.change import Change, OnBatch, OnState
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.names import unique
from stayfinite.frameworks.saved_names import differing_shape, names_of
from stayfinite.frameworks.state import State, random_of_arrays
from stayfinite.frameworks.step import Step
from stayfinite.frameworks.subject import state_variables
from stayfinite.replay.misfit import Misfit, missing_variable, unknown_variable
from stayfinite.replay.outcomes import run_changed
from stayfinite.replay.saved_step import SavedStep
from stayfinite.report.replayed import Replayed


def plain_misfit(first: Failure, saved: SavedStep) -> Misfit | None:
    """Why the incident is not of the training whose first step is `first`; None if it is.

    Slots of its optimizer are made if the incident has some.
    """
    subject = first.subject
    groups = state_variables(subject)
    missing = missing_variable(groups, saved)
    if missing is not None:
        return missing
    differing = differing_shape(_shapes(first), saved.state)
    if differing is not None:
        return Misfit(differing)
    batch = base.framework_of(subject).batch(subject, first.bad.data)
    names = {leaf.name for leaf in batch.leaves}
    if names != saved.batch.keys():
        return Misfit(
            f"its batch has the arrays {', '.join(sorted(names)) or 'none':.200}, and that of the "
            f"incident {', '.join(sorted(saved.batch)) or 'none':.200}",
            is_of_batch=True,
        )
    if unknown_variable(groups, saved) is not None:
        subject.prepare(first.bad.data)
        unknown = unknown_variable(state_variables(subject), saved)
        if unknown is not None:
            return Misfit(unknown, is_final=True)
    return None


def replay_plain(
    first: Failure,
    saved: SavedStep,
    changes: Sequence[Change],
    last: Change | None,
    times: int,
) -> Replayed:
    """Run the saved step by the code of a training that fits it; see `run_changed`.

    Raises:
        UsageError: it cannot be run, or not with a change.
    """
    return run_changed(_maker(first, saved), saved, changes, last, times)


def _maker(first: Failure, saved: SavedStep) -> Callable[[], Step]:
    def make() -> Step:
        subject = first.subject
        framework = base.framework_of(subject)
        random = random_of_arrays(saved.state)
        data = first.bad.data
        if saved.record.loop is not None:
            data = subject.with_loop_values(data, saved.record.loop, random)
        batch = framework.batch(subject, data).with_arrays(saved.batch)
        names = names_of(state_variables(subject))
        state = State.of([[saved.state[name] for name in group] for group in names], random)
        bad = dataclasses.replace(first.bad, data=data)
        step = framework.step(dataclasses.replace(first, bad=bad))
        return step.changed(OnBatch(batch)).changed(OnState(state))

    return make


def _shapes(first: Failure) -> dict[str, tuple[int, ...]]:
    flat = [variable.path for group in state_variables(first.subject) for variable in group]
    values = first.state.values
    return {
        name: tuple(np.shape(cast(np.typing.ArrayLike, value)))
        for name, value in zip(unique(flat), values, strict=True)
    }
