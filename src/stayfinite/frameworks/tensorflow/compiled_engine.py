"""A train step on TensorFlow as one program of XLA, as the training compiles it.

XLA does not compute each operation as TensorFlow does by itself: the derivative of `sqrt` at 0,
times 0, is 0 in an operation of TensorFlow and NaN in a program of XLA.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.recording.engine import EagerResult, Engine, Update
from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.state import State
from stayfinite.frameworks.tensorflow import private_functions
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments
from stayfinite.frameworks.tensorflow.engine import GivenNotes, TensorFlowEngine
from stayfinite.frameworks.tensorflow.state import state_of
from stayfinite.frameworks.tensorflow.watching import watched


class CompiledEngine(TensorFlowEngine):
    """Makes a step as one program. A recorded run is made by operations, as there are none in it.

    Each run compiles it anew, since a patch may be in place.
    """

    def compiled(self) -> Engine:
        """This one."""
        return self

    def run(
        self,
        state: State,
        batch: Batch,
        recording: Recording | None = None,
        *,
        keep_after: bool = False,
    ) -> EagerResult:
        """Run the train step on copies of `state`, and leave the variables as they were."""
        if recording is not None:
            return super().run(state, batch, recording, keep_after=keep_after)
        notes = _TracedNotes()

        def step(*values: Any) -> Any:
            given = iter(values)
            arrays = batch.map(lambda _: next(given)) if values else batch
            with watched(notes):
                self.subject.train_step(arrays.data)
            return notes.losses, [update.gradients for update in notes.updates]

        data = batch.data
        # What the step gets as arrays of NumPy stands in the program as constants.
        is_traced = not (isinstance(data, CallArguments) and data.form.on_host)
        values = [leaf.value for leaf in batch.leaves] if is_traced else []
        try:
            with self._on(state):
                losses, gradients = private_functions.compiled_by_xla(step)(*values)
                bad = self._bad_state(state)
                after = state_of(self.subject) if keep_after else None
        except tf.errors.OperatorNotAllowedInGraphError:
            # Only AutoGraph compiles such code, from the text of a file, which has no patch in it.
            return super().run(state, batch, keep_after=keep_after)
        updates = [
            Update(update.optimizer, given, update.variables)
            for update, given in zip(notes.updates, gradients, strict=True)
        ]
        return EagerResult(self._reported(losses), updates, bad, None, after)

    def _reported(self, losses: list[Any]) -> Any:
        """The first loss that is not finite, else the last one."""
        bad = [loss for loss in losses if not np.isfinite(self.numpy(loss)).all()]
        return (bad or losses[-1:] or [None])[0]


class _TracedNotes(GivenNotes):
    """Notes the tensors of a program that is traced, whose numbers are not known yet."""

    def __init__(self) -> None:
        super().__init__(lambda tensor: True, None)
        self.losses: list[Any] = []

    def differentiating(self, loss: Any) -> None:
        """Note every loss."""
        self.losses.append(loss)
