"""The failing batch on an earlier state: what had the values been before they grew?"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from stayfinite.diagnose.evidence import Earlier
from stayfinite.frameworks.change import State
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.step import Step


def usable(step: Step, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """The snapshots that have the form of the state now; slots may have been made since.

    So may metrics, on TensorFlow by the first step; these are of no account, and are those of now.
    """
    now = [len(group) for group in step.state[:3]]
    alike = [s for s in snapshots if [len(group) for group in s.state[:3]] == now]
    return [Snapshot(s.step, _with_metrics(s.state, step.state)) for s in alike]


def _with_metrics(state: Any, now: Any) -> Any:
    if len(state[3]) == len(now[3]):
        return state
    changed = copy.copy(state)
    changed[3] = now[3]
    return changed


def earlier(step: Step, bad_step: int, snapshots: Sequence[Snapshot]) -> Earlier | None:
    """The oldest of `snapshots` as a rule sees it; None where there is none.

    The first step of a model has no state before it, and is compared with nothing.
    """
    kept = [s for s in usable(step, snapshots) if s.step < bad_step]
    if not kept:
        return None
    oldest = kept[-1]

    @functools.cache
    def there() -> Step:
        return step.changed(State(oldest.state))

    def fetch(values: Iterable[int]) -> dict[int, np.ndarray] | None:
        try:
            return there().fetch(values)
        except Exception:
            # A state of another form, or a step that takes another way on it: nothing is compared.
            return None

    return Earlier(bad_step - oldest.step, fetch)
