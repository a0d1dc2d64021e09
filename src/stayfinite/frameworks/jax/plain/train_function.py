"""The guarded step of a training on JAX without Keras: compiled with the sentinel inside."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stayfinite.frameworks.base import OnBad
from stayfinite.frameworks.jax import guard_step
from stayfinite.frameworks.jax.host_data import LateScalar, is_changeable, own
from stayfinite.frameworks.keras.train_function import GuardedTrainFunction
from stayfinite.frameworks.recorder import Flag, Recorder
from stayfinite.frameworks.state import State

if TYPE_CHECKING:
    from stayfinite.frameworks.jax.plain.subject import PlainJax

# No epoch bounds how late a flag is read. The next step is prepared while the device makes one.
MAX_PENDING = 1


class PlainTrainFunction(GuardedTrainFunction):
    """Makes the steps of `subject`; called with a state and an iterator over one batch."""

    def __init__(
        self, subject: PlainJax, recorder: Recorder, on_bad: OnBad, *, resumes: bool
    ) -> None:
        super().__init__(subject, recorder, on_bad, resumes=resumes)
        recorder.max_pending = MAX_PENDING
        self._plain = subject
        self._inner = self._made()
        self._sentinel = guard_step.new_sentinel()
        self._state: Any = None
        self._losses: collections.deque[tuple[int, Any]] = collections.deque()
        self._bad_loss: int | None = None
        self._told = False

    def __call__(self, state: Any, iterator: Iterator[Any]) -> Any:
        """Make one step: `(logs, state)`."""
        self.enter(iterator)
        self._state = state
        self.poll(None, wait=False)
        self._read_losses()
        self.remember(lambda: _num_bytes(state), lambda: State.of(state).map(np.array))
        batches = self._recorder.recording(iterator, own=own, may_borrow=is_changeable)
        logs, flag = self.make(next(batches))
        if not self._told and logs["loss"] is not None and not self._plain.skips_bad_updates:
            self._losses.append((self._recorder.num_steps - 1, logs["loss"]))
        logs = self.expect(flag, logs)
        return logs, self._state

    def _read_losses(self) -> None:
        """Read the losses of the steps whose flags have been read."""
        while (
            self._losses
            and self._bad_loss is None
            and self._losses[0][0] < self._recorder.num_judged
        ):
            step, loss = self._losses.popleft()
            if not math.isfinite(np.asarray(loss).item()):
                self._bad_loss = step

    def bad_loss(self) -> int | None:
        """The first step that was good but for its loss, the first time that this is asked."""
        if self._told or self._bad_loss is None:
            return None
        self._told = True
        self._losses.clear()
        return self._bad_loss

    def end_epoch(self) -> None:
        """Read every flag, and every loss."""
        super().end_epoch()
        self._read_losses()

    def make(self, data: object) -> tuple[Any, Flag]:
        """Make one step from the present state on."""
        (logs, first_bad), state = self._inner((*self._state, self._sentinel), data)
        self._state, self._sentinel = tuple(state[:4]), state[4]
        return logs, LateScalar(first_bad)

    def last_good(self, step: int) -> State:
        """The state before the bad step, which no later step has changed."""
        state = State.of(self._state)
        self._sentinel = guard_step.new_sentinel()
        self._losses.clear()
        self._plain.kept = state
        return state

    def fails_again(self, state: State, data: object) -> bool:
        """Run the compiled step once more; nothing is donated to it."""
        groups = [list(group) for group in state.groups]
        (_, first_bad), _ = self._inner((*groups, guard_step.new_sentinel()), data)
        return int(first_bad) >= 0

    def set_state(self, state: State) -> None:
        """Take `state` for the next step."""
        self._state = tuple([jax.numpy.asarray(v) for v in group] for group in state.groups)
        self._plain.kept = State.of(self._state)

    def present(self) -> State:
        """The state that the next step is made on, with settings that were changed."""
        return self._plain.kept or State.of(self._state)

    def rebuild(self) -> None:
        """Trace the step again, and every function that it calls."""
        jax.clear_caches()
        self._inner = self._made()

    def resumed(self) -> None:
        """Nothing: the state is returned to the user's loop."""

    def went_back(self) -> None:
        """Nothing: every step has its flag."""

    def _made(self) -> Any:
        subject = self._plain
        step = guard_step.guarded(
            subject.train_step,
            subject.step_library,
            may_keep_infinity=subject.may_keep_infinity,
            keeps_metrics=self.resumes,
            is_donated=False,
        )
        return subject.make_train_function(step)


def _num_bytes(state: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(state))
