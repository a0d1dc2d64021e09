"""The failing batch on an earlier state: how large were the values before they grew?"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stayfinite.diagnose.evidence import Earlier
from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.change import State
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Step


def usable_snapshots(step: Step, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The snapshots that have the form of the state now; slots may have been made since.

    So may metrics, on TensorFlow by the first step. They do not change the step, so those of now
    are taken.
    """
    now = [len(group) for group in step.state[:3]]
    alike = [s for s in snapshots if [len(group) for group in s.state[:3]] == now]
    return [Snapshot(s.step, _with_metrics(s.state, step.state)) for s in alike]


def _with_metrics(state: Any, now: Any) -> Any:
    if len(state[3]) == len(now[3]):
        return state
    if isinstance(state, tuple):
        return (*state[:3], now[3])
    changed = copy.copy(state)
    changed[3] = now[3]
    return changed


def earlier_state(step: Step, bad_step: int, snapshots: Sequence[Snapshot]) -> Earlier | None:
    """The oldest of `snapshots` as a rule sees it; None where there is none.

    The first step of a model has no state before it, and is compared with nothing.
    """
    kept = [s for s in usable_snapshots(step, snapshots) if s.step < bad_step]
    if not kept:
        return None
    oldest = kept[-1]

    @functools.cache
    def there() -> Step:
        return step.changed(State(oldest.state))

    def fetch(values: Iterable[int]) -> dict[int, np.ndarray] | None:
        # A step that branches on its values may run other ops on that state.
        fetched = attempt(lambda: there().fetch(values))
        return None if isinstance(fetched, NotTried) else fetched

    return Earlier(bad_step - oldest.step, fetch)
