"""The steps of a training made again from an earlier state, to see what they do not make."""

from __future__ import annotations

import dataclasses

from stayfinite.frameworks.guarded_training import GuardedTraining
from stayfinite.frameworks.outside_changes import is_changed, outside_change
from stayfinite.frameworks.state import State
from stayfinite.frameworks.state_log import LoggedCall, LoggedCalls, MadeAgain, OutsideChange

# All elements that differ, where it is not known which code wrote them.
_FEW = 8


def made_again(
    training: GuardedTraining, logged: LoggedCalls, state: State, data: object
) -> MadeAgain | None:
    """The state before a bad step as the steps make it, if that is another one and it is good.

    The training has the same state afterwards as before.

    Args:
        training: The training.
        logged: The steps up to the bad one.
        state: The state before the bad step, as training had it.
        data: The batch of the bad step.
    """
    first = logged.first
    if list(map(len, first.state.groups)) != list(map(len, state.groups)):
        return None
    training.set_state(state)
    found = training.copied()
    try:
        training.begin_sentinel()
        training.set_state(first.state)
        changes: list[OutsideChange] = []
        for call in logged.calls:
            changes += _written(training, call)
            for recorded in call.batches:
                if int(training.make(recorded.data)[1]) >= 0:
                    return None
        made = training.copied()
        changes = changes or _unseen(training, made, found)
        if not changes or training.fails_again(made, data):
            return None
        return MadeAgain(first.step, made, tuple(changes))
    finally:
        training.set_state(state)
        training.begin_sentinel()


def _written(training: GuardedTraining, call: LoggedCall) -> list[OutsideChange]:
    """Write what was written before a call, without what was changed by a fault."""
    changes: list[OutsideChange] = []
    if call.writes:
        present = training.copied()
        values = list(present.values)
        num_lasting = sum(map(len, present.groups[:3]))
        for position, array in call.writes.items():
            made = training.on_host(values[position])
            change = outside_change(made, array, position, call.step)
            if change is None or position >= num_lasting:
                values[position] = array
            else:
                changes.append(change)
        training.set_state(dataclasses.replace(present.with_values(values), random=call.random))
    elif call.random is not None:
        training.set_state(dataclasses.replace(training.copied(), random=call.random))
    return changes


def _unseen(training: GuardedTraining, made: State, found: State) -> list[OutsideChange]:
    """What was changed without a write that was seen, where a fault explains all of it."""
    changes: list[OutsideChange] = []
    num_changed = 0
    lasting = [value for group in made.groups[:3] for value in group]
    for position, value in enumerate(lasting):
        one, other = training.on_host(value), training.on_host(found.values[position])
        if one.shape != other.shape:
            return []
        num_changed += int(is_changed(one, other).sum()) if one.dtype.kind in "fV" else 0
        if num_changed > _FEW:
            return []
        change = outside_change(one, other, position, None)
        if change is not None:
            changes.append(change)
    return changes
