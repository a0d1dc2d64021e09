"""Steps of a heavy state on TensorFlow: the train function without a sentinel.

TensorFlow changes variables in place, so whatever reads one sees the present state. Reading a Keras
variable, and what evaluates or predicts, therefore checks the steps first (`variable_hooks.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from stayfinite.frameworks.heavy_steps import MAX_WRITTEN_BYTES, HeavySteps, HeavyTraining, Writes
from stayfinite.frameworks.optimizers import learning_rate_of
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.subject import state_variables
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.guard_graph import lasting
from stayfinite.frameworks.tensorflow.guard_sentinel import all_finite


class TensorFlowHeavySteps(HeavySteps):
    """Makes the steps of one training.

    Its `plain` makes a step on a batch that it draws: its logs, and the batch.
    """

    def __init__(self, training: HeavyTraining) -> None:
        super().__init__(training.num_bytes)
        self._training = training
        self._buffers: list[np.ndarray] = []
        self._variables: list[Any] = []
        self._written: set[int] = set()
        self._is_replaced = False

    @property
    def has_variables(self) -> bool:
        """Whether a snapshot was taken before, so that the variables are known."""
        return bool(self._variables)

    def run(self, source: Any) -> tuple[Any, Any]:
        """Make a step on the next batch of `source`: its logs, and the batch."""
        self.begin_step(self._writes_of_others())
        return self.run_next(source)

    @property
    def is_written(self) -> bool:
        """Whether other code has written to the state since the last step."""
        return self._is_replaced or bool(self._written)

    def run_next(self, source: Any) -> tuple[Any, Any]:
        """`run` within a window, on the state that the last step left."""
        try:
            logs, data = self._training.plain(source)
        except BaseException:
            # At the end of the data, a step still makes what does not depend on them.
            self.replace()
            raise
        return logs, data

    def ran(self, recorded: RecordedBatch, logs: Any) -> None:
        """Note the step that `run` has made."""
        self.end_step(recorded, LateLoss(logs["loss"]))
        self._written, self._is_replaced = set(), False

    def is_small(self, variable: Any) -> bool:
        """Whether a variable may be written to within a window."""
        position = self._position(variable)
        return position is not None and self._buffers[position].nbytes <= MAX_WRITTEN_BYTES

    def writing(self, variable: Any) -> None:
        """Other code is about to assign a variable."""
        position = self._position(variable)
        if position is not None and self.is_small(variable):
            self._written.add(position)
        else:
            self.replace()

    def replace(self) -> None:
        """Other code has written to the state, or is about to: the next step begins a window."""
        self._is_replaced = True

    def _position(self, variable: Any) -> int | None:
        raw = private.raw(variable)
        return next((n for n, held in enumerate(self._variables) if held is raw), None)

    def _writes_of_others(self) -> Writes | None:
        written = sum(self._buffers[position].nbytes for position in self._written)
        if self._is_replaced or written > MAX_WRITTEN_BYTES:
            return None
        return {position: self._variables[position].numpy() for position in self._written}

    def wait(self) -> None:
        """Nothing: to read a variable waits."""

    def copy(self) -> None:
        """Take a snapshot of the present state, into the same memory as the last."""
        groups = state_variables(self._training.subject)
        self._variables = [private.raw(variable) for group in groups for variable in group]
        values = [variable.read_value() for variable in self._variables]
        forms = [(value.shape, value.dtype.as_numpy_dtype) for value in values]
        if forms != [(buffer.shape, buffer.dtype.type) for buffer in self._buffers]:
            self._buffers = [np.empty(shape, dtype) for shape, dtype in forms]
        for buffer, value in zip(self._buffers, values, strict=True):
            np.copyto(buffer, value.numpy())

    def restore(self) -> None:
        """Assign the values of the snapshot. What was made since then are metrics."""
        self._training.subject.reset_metrics()
        self._assign(self._buffers)

    def _assign(self, values: list[np.ndarray]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            # A tensor may share the memory of an array, and the step writes in place.
            variable.assign(value.copy())

    def write(self, writes: Writes) -> None:
        """Assign variables."""
        for position, value in writes.items():
            self._variables[position].assign(value)

    def make(self, data: object) -> LateLoss:
        """Make a step from the present state on; returns the mean of the loss."""
        logs, _ = self._training.plain([data])
        return LateLoss(logs["loss"])

    def is_finite(self) -> bool:
        """Whether the present state is finite, metrics left out."""
        rate = learning_rate_of(self._training.subject.optimizers[0])
        # No step changes the learning rate.
        values = [private.raw(v) for v in lasting(self._training.subject) if v is not rate]
        floating = [value.read_value() for value in values if value.dtype.is_floating]
        # A sum of squares is faster than a check of each element, and may overflow.
        squares = [float(tf.nn.l2_loss(value)) for value in floating]
        return bool(np.isfinite(sum(squares))) or bool(all_finite(floating))

    def is_bad(self, data: object) -> bool:
        """Make a step with the sentinel, and undo it."""
        return self._training.fails(data)

    def set_aside(self) -> list[np.ndarray]:
        """A copy of the present state."""
        return [variable.numpy().copy() for variable in self._variables]

    def take_back(self, state: Any) -> None:
        """Assign what was set aside."""
        self._assign(state)

    def drop(self) -> None:
        """Nothing: the variables are written to in place."""


class LateLoss:
    """The mean of the loss as a `LateNumber`."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def is_ready(self) -> bool:
        """Whether reading it would not wait, as far as is known."""
        # TensorFlow does not say whether a tensor of a GPU has been computed.
        return "CPU" in self._tensor.device

    def __float__(self) -> float:
        return float(self._tensor)
