"""Compiled updates whose gradients come from other calls, explained by all of these calls."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from stayfinite.errors import UsageError
from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.jax.host_data import own
from stayfinite.frameworks.jax.plain.joined_step import JoinedStep, at_places, ways
from stayfinite.frameworks.jax.plain.pure_calls import TAPE, PureCall
from stayfinite.frameworks.jax.plain.subject import PlainJax
from stayfinite.frameworks.jax.plain.values import StepData
from stayfinite.frameworks.recorded_steps import RecordedBatch, num_bytes_of
from stayfinite.frameworks.recorder import MAX_COPIED_BYTES, MAX_HEALTHY, MAX_PENDING
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.state import State

# A step is found to be bad when the next one is made, or two series later where they are quick.
_LEAST, _MOST = 3, 2 * MAX_PENDING + 2
# Bytes of what the updates of these steps are given.
_MAX_BYTES = 64 * 2**20


@dataclass(frozen=True)
class KeptArrays:
    """A healthy step: its number, and its batch or its state by name."""

    step: int
    arrays: Mapping[str, Any]


class RecentBatches:
    """The batches of the last healthy steps that are several calls."""

    def __init__(self) -> None:
        self._kept: collections.deque[KeptArrays] = collections.deque(maxlen=MAX_HEALTHY)

    def add(self, step: int, batch: Mapping[str, Any]) -> None:
        """Keep the batch of a step, unless it is large."""
        if num_bytes_of(dict(batch)) <= MAX_COPIED_BYTES:
            self._kept.append(KeptArrays(step, own(dict(batch))))

    def before(self, number: int, step: JoinedStep, subject: PlainJax) -> list[RecordedBatch]:
        """Those before `number` that have the form of `step`, newest first."""
        found = []
        for kept in reversed(self._kept):
            is_alike = jax.tree.structure(kept.arrays) == jax.tree.structure(step.batch)
            if kept.step < number and is_alike:
                data = subject.calls.data_of({**step.arguments, **kept.arrays})[1]
                found.append(RecordedBatch(kept.step, None, None, data, data.nbytes))
        return found


def readable(steps: Sequence[JoinedStep]) -> tuple[JoinedStep, PlainJax, State, StepData]:
    """The first of `steps` that JAX can trace, as a subject with its state and batch.

    Raises:
        UsageError: none of them can be traced.
    """
    for number, step in enumerate(steps, 1):
        subject = PlainJax(step, list(step.state))
        try:
            return step, subject, *subject.calls.data_of(step.arguments)
        except UsageError:
            if number == len(steps):
                raise
    raise AssertionError("a bad update has one step at least")


@dataclass(frozen=True)
class _Unread:
    """A step whose flag may not be read yet: all its calls, and those before the update."""

    number: int
    whole: JoinedStep
    gradients: list[PureCall]
    calls: list[PureCall]
    num_bytes: int


class UpdateOrigins:
    """The calls that led to each step of a compiled update.

    Args:
        update: The update.
    """

    def __init__(self, update: PlainJax) -> None:
        self._update = update
        self._unread: collections.deque[_Unread] = collections.deque()
        self._batches = RecentBatches()

    def note(self, number: int, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        """The step `number` is about to be made."""
        calls = TAPE.leading_to((args, keywords))
        labels, places = self._update.calls.labels_of(args, keywords), self._update.calls.places
        state = {label: labels[label] for label in places}
        update = PureCall(self._update.calls.function, args, keywords, None)
        update.names = self._update.calls.names_read(args, keywords)
        whole = JoinedStep([*calls, update], state, at_places(places, state))
        num_bytes = sum(array.nbytes for array in update.inputs)
        self._unread.append(_Unread(number, whole, TAPE.gradients(), calls, num_bytes))
        while len(self._unread) > _LEAST and (
            len(self._unread) > _MOST or sum(s.num_bytes for s in self._unread) > _MAX_BYTES
        ):
            self._unread.popleft()
        self._batches.add(number, whole.batch)
        TAPE.end_step(calls)

    def whole(self, failure: Failure) -> Failure:
        """`failure` as that of all calls of its step."""
        number = failure.bad.step
        found = next((step for step in self._unread if step.number == number), None)
        if found is None:
            return failure
        try:
            step, subject, state, data = readable(ways(found.whole, found.gradients, found.calls))
        except UsageError:
            return failure
        subject.kept = state
        snapshots = [self._converted(kept, subject) for kept in failure.snapshots]
        return dataclasses.replace(
            failure,
            subject=subject,
            state=state,
            bad=RecordedBatch(number, None, None, data, data.nbytes),
            rerun=step.fails_again,
            is_same_program=step.is_same_program,
            healthy=self._batches.before(number, step, subject),
            snapshots=[kept for kept in snapshots if kept is not None],
        )

    def _converted(self, kept: Snapshot, subject: PlainJax) -> Snapshot | None:
        held = dict(zip(self._update.calls.state_names, kept.state.values, strict=True))
        if set(subject.calls.state_names) != held.keys():
            return None
        return Snapshot(kept.step, subject.calls.state_of(held))
