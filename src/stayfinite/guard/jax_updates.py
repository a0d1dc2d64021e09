"""The guard of updates that a loop on JAX makes outside of any compiled step.

Nothing here imports Keras.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.jax.host_data import copied
from stayfinite.frameworks.jax.plain.joined_step import JoinedStep
from stayfinite.frameworks.jax.plain.origins import KeptArrays, RecentBatches, readable
from stayfinite.frameworks.jax.plain.subject import PlainJax
from stayfinite.frameworks.jax.plain.update_arrays import are_alike
from stayfinite.frameworks.jax.plain.update_listener import GoodUpdate, JaxUpdateListener
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.snapshots import MAX_BYTES, USUAL, Snapshot
from stayfinite.frameworks.step_turns import TURNS
from stayfinite.guard.loop_updates import LoopUpdates
from stayfinite.report.wording import notices


class JaxUpdates(LoopUpdates, JaxUpdateListener):
    """The updates of this process, each of them one step."""

    def __init__(self, keep: Path) -> None:
        super().__init__(keep)
        self._has_told_loss = False
        self._has_told_gradients = False
        self._batches = RecentBatches()
        self._states: list[KeptArrays] = []

    def made(self, update: GoodUpdate) -> None:
        """Count a good update, and keep its batch."""
        self.begin_step()
        step = self.recorder.num_steps
        self.count_step()
        if update.has_finite_gradients is False:
            self._tell_gradients(step)
        if update.loss is not None:
            self._keep_loss(step, float(update.loss), update.has_finite_gradients)
        self._batches.add(step, update.batch)
        if not self._states or step - self._states[-1].step >= USUAL.min_steps:
            state = {label: tree for label, tree in update.state.items() if tree is not None}
            self._states = [*self._states[-1:], KeptArrays(step, copied(state, MAX_BYTES))]

    def _keep_loss(self, step: int, loss: float, has_gradients: bool | None) -> None:
        self.recorder.losses.keep(step, None, loss)
        if math.isfinite(loss) or self._has_told_loss:
            return
        self._has_told_loss = True
        self.say(notices.bad_loss(step, loss, has_gradients=has_gradients is not None))

    def _tell_gradients(self, step: int) -> None:
        if self._has_told_gradients:
            return
        # What the loss is says nothing more.
        self._has_told_gradients = self._has_told_loss = True
        self.say(notices.finite_update(step))

    def left_out(self) -> None:
        """Say that a bad update was not applied, and count it."""
        self.begin_step()
        self.say(notices.left_out(self.recorder.num_steps))
        self.count_step()

    def bad(self, steps: Sequence[JoinedStep], *, is_applied: bool = False) -> None:
        """Explain a bad update.

        Args:
            steps: What makes the step again, the best first.
            is_applied: Whether it was seen after the program had applied it.

        Raises:
            NonFiniteError: the loop ends here.
        """
        self.begin_step()
        self.stop_at_bad()
        number = self.recorder.num_steps
        self.count_step()
        joined, subject, state, data = readable(steps)
        subject.kept = state
        self.handle(
            Failure(
                subject=subject,
                state=state,
                bad=RecordedBatch(number, None, None, data, data.nbytes),
                healthy=self._batches.before(number, joined, subject),
                snapshots=self._snapshots(subject, joined, number),
                losses=self.recorder.losses.before(number),
                is_applied=is_applied,
                rerun=joined.fails_again,
                is_same_program=joined.is_same_program,
                keep=self.keep,
                script=self.script,
                num_others=TURNS.num_others_before(self.recorder.count, number),
            )
        )

    def _snapshots(self, subject: PlainJax, step: JoinedStep, before: int) -> list[Snapshot]:
        found = []
        for kept in reversed(self._states):
            held = {k: array for k, array in kept.arrays.items() if k in step.state}
            # Another network has a state of the same names.
            if kept.step < before and are_alike(held, step.state):
                found.append(
                    Snapshot(kept.step, subject.calls.data_of({**step.arguments, **held})[0])
                )
        return found
