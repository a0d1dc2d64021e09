"""A state that something else than the steps has changed, as a cause and with its remedy."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from stayfinite.diagnose.facts.growth import ChangedOutside
from stayfinite.diagnose.finding import CauseName, Finding
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.experiments.changes import StateOfSteps
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch, try_remedy
from stayfinite.frameworks.change import OnState
from stayfinite.frameworks.state import State
from stayfinite.frameworks.state_log import MadeAgain
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Role
from stayfinite.incident import Incoming

_CAUSES: dict[Role, CauseName] = {
    "weight": "bad-weights",
    "statistics": "bad-statistics",
    "optimizer": "bad-update",
}


def changed_outside(diagnosis: Diagnosis, step: Step, again: MadeAgain) -> Diagnosis:
    """The diagnosis of a step whose state was changed between two steps before it.

    Args:
        diagnosis: Where it failed.
        step: The step.
        again: The state as the steps make it, and what was changed.
    """
    change = again.changes[0]
    name = _name_of(step, again.state, change.position)
    if name is None:
        return diagnosis
    roles = {leaf.name: leaf.role for leaf in step.trace.leaves.values()}
    cause = _CAUSES.get(roles.get(name, "optimizer"))
    if cause is None:
        return diagnosis
    facts = ChangedOutside(
        before=change.before,
        now=change.now,
        num_changed=change.num_changed,
        size=change.size,
        step=change.step,
        first=again.first,
    )
    finding = Finding(cause=cause, facts=facts, op=Incoming.STATE, tensor=name, phase="load")
    return dataclasses.replace(diagnosis, finding=finding)


def find_remedy(context: FailureContext, again: MadeAgain) -> RemedySearch:
    """Whether training goes on from the state that the steps make."""
    remedy = StateOfSteps(context.finding.tensor or "", again.first)
    # The loss may rise as it does without the change: the training is the one without it.
    tried = try_remedy(context, remedy, OnState(again.state), growth=math.inf)
    return RemedySearch().then(tried)


def _name_of(step: Step, made: State, position: int) -> str | None:
    """The name of a value of the state, which is another one in `made`."""
    values = list(step.state.values)
    values[position] = made.values[position]
    one_replaced = step.state.with_values(values)
    arrays, others = step.state_arrays(), step.changed(OnState(one_replaced)).state_arrays()
    return next((name for name in arrays if not _is_same(arrays[name], others.get(name))), None)


def _is_same(one: np.ndarray, other: np.ndarray | None) -> bool:
    return other is not None and one.tobytes() == other.tobytes()
