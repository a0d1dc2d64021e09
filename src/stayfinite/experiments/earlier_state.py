"""The failing batch on an earlier state, for the size of its values there."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np

from stayfinite.diagnose.evidence import Earlier, StateArrays
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import Arrays, OnBatch, OnState
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Step

# Healthy batches that an update is made on.
_FEW = 2


def usable_snapshots(step: Step, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The snapshots that have the form of the state now; slots may have been made since.

    So may metrics, on TensorFlow by the first step. They do not change the step, so those of now
    are taken.
    """
    return [
        dataclasses.replace(kept, state=kept.state.with_metrics(step.state.metrics))
        for kept in snapshots
        if kept.state.has_form_of(step.state)
    ]


def earlier_state(
    step: Step, bad_step: int, snapshots: Sequence[Snapshot], healthy: Sequence[Batch] = ()
) -> Earlier | None:
    """The oldest of `snapshots` as `Evidence` has it; None where there is none.

    The first step of a model has no earlier state. `healthy` are batches before it, newest first.
    """
    kept = [s for s in usable_snapshots(step, snapshots) if s.step < bad_step]
    if not kept:
        return None
    oldest = kept[-1]

    @functools.cache
    def there() -> Step:
        return step.changed(OnState(oldest.state))

    def fetch(values: Iterable[int]) -> dict[int, np.ndarray] | None:
        # A step that branches on its values may run other ops on that state.
        fetched = attempt(lambda: there().fetch(values))
        return None if isinstance(fetched, NotTried) else fetched

    def updated(arrays: StateArrays) -> list[StateArrays]:
        changed = step.changed(Arrays(arrays))
        steps = [changed, *(changed.changed(OnBatch(batch)) for batch in healthy[:_FEW])]
        found = [attempt(functools.partial(_state_after, each)) for each in steps]
        return [after for after in found if not isinstance(after, NotTried)]

    return Earlier(bad_step - oldest.step, fetch, updated)


def _state_after(step: Step) -> StateArrays:
    return step.changed(OnState(step.after())).state_arrays()
