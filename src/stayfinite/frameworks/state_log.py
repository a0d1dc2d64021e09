"""A copy of an earlier state, and all that makes the state of now again from it.

A number of the state may be changed between two steps: by a fault of the memory, or by code that
should not write there. If it stays finite, it is seen some steps later at the earliest, as a step
that is not finite. That it was changed is then shown by the steps themselves: made again from a
state before, they do not make it. Training can go on from what they make.

What a program writes to the state on purpose, as a learning rate or the reset of a metric, is kept
with the steps and written again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stayfinite.frameworks.heavy import Window
from stayfinite.frameworks.heavy_state import Writes
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.state import RandomState, State

# A larger state is not copied, and no more bytes of batches are kept since a copy.
MAX_BYTES = 256 * 2**20
# A change shows some steps later, so two copies are at least so many calls apart.
MIN_CALLS = 8


@dataclass(frozen=True)
class LoggedCall:
    """One call of the train function, which makes a step or several.

    Attributes:
        step: The number of its first step.
        writes: What other code wrote to the state before it.
        random: The random generators before it, where they are outside of the state.
        batches: Its steps.
    """

    step: int
    writes: Writes
    random: RandomState | None
    batches: list[RecordedBatch] = field(default_factory=list)


@dataclass(frozen=True)
class LoggedCalls:
    """An earlier state with its metrics, and the calls since, oldest first.

    The last call is the one that the bad step is in; its batches are those before that step.
    """

    first: Snapshot
    calls: Sequence[LoggedCall]


@dataclass(frozen=True)
class OutsideChange:
    """Elements of one array of the state that were changed between two steps.

    Attributes:
        position: The place of the array among the values of the state.
        num_changed: How many of its elements were changed.
        size: How many it has.
        before: The largest of them as the steps make it.
        now: What it was changed to.
        step: The step before which it was changed; None where that is not known.
    """

    position: int
    num_changed: int
    size: int
    before: float
    now: float
    step: int | None


@dataclass(frozen=True)
class MadeAgain:
    """The state before a bad step as the steps since `first` make it: the bad step is finite on it.

    `changes` is what was changed between two steps, and is not in this state.
    """

    first: int
    state: State
    changes: tuple[OutsideChange, ...]


class StateLog:
    """The steps of one training since a copy of its state, and since the copy before that.

    The newest copy may already have what was changed between two steps.
    """

    def __init__(self) -> None:
        self._before: LoggedCalls | None = None
        self._first: Snapshot | None = None
        self._calls: list[LoggedCall] = []
        self._window: Window | None = None
        self._num_bytes = 0
        self._is_too_large = False

    def begin_call(
        self,
        step: int,
        writes: Writes | None,
        random: RandomState | None,
        num_bytes: Callable[[], int],
        copy: Callable[[], State],
    ) -> None:
        """The train function is about to be called.

        Args:
            step: The number of its first step.
            writes: What other code wrote to the state since the last call; None where that is large
                or not known.
            random: The random generators outside of the state.
            num_bytes: How large the state is.
            copy: Makes a copy of it.
        """
        if self._is_too_large:
            return
        if self._first is None or writes is None or self._is_over():
            size = num_bytes()
            self._is_too_large = size > MAX_BYTES
            if self._is_too_large:
                self.forget()
                return
            before = None
            if self._first is not None and writes is not None:
                before = LoggedCalls(self._first, self._calls)
            began = time.perf_counter()
            self._before, self._first = before, Snapshot(step, copy())
            self._window = Window(size)
            self._window.begin(time.perf_counter() - began)
            self._calls, self._num_bytes = [], 0
        self._calls.append(LoggedCall(step, writes or {}, random))

    def end_call(self, batches: Sequence[RecordedBatch]) -> None:
        """The last call has made steps on `batches`; `forget` if one may be written to later."""
        if self._first is None or self._window is None or not batches:
            return
        if any(recorded.is_borrowed for recorded in batches):
            self.forget()
            return
        self._calls[-1].batches.extend(batches)
        for recorded in batches:
            self._window.add(recorded.num_bytes)
            self._num_bytes += recorded.num_bytes

    def _is_over(self) -> bool:
        if len(self._calls) < MIN_CALLS and self._num_bytes < MAX_BYTES:
            return False
        return self._window is None or self._window.is_over()

    def until(self, step: int) -> LoggedCalls | None:
        """What makes the state before `step` again; None where that is not known."""
        if self._first is None:
            return None
        before = self._before or LoggedCalls(self._first, ())
        first = before.first
        if first.step > step:
            return None
        calls = [
            LoggedCall(
                call.step,
                # The copy has what was written before it.
                {} if call.step == first.step else call.writes,
                call.random,
                [recorded for recorded in call.batches if recorded.step < step],
            )
            for call in (*before.calls, *self._calls)
            if call.step <= step
        ]
        return LoggedCalls(first, calls)

    def forget(self) -> None:
        """Begin with a new copy at the next call."""
        self._before, self._first, self._calls, self._window = None, None, [], None
