"""Steps of a heavy state on TensorFlow: the train function without a sentinel.

TensorFlow changes variables in place, so whatever reads one sees the present state. Reading a Keras
variable, and what evaluates or predicts, therefore checks the steps first (`variable_hooks.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from stayfinite.frameworks.heavy_state import MAX_WRITTEN_BYTES, HeavyTraining, Writes
from stayfinite.frameworks.heavy_steps import HeavySteps
from stayfinite.frameworks.optimizers import learning_rate_of
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.subject import state_variables
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.guard_graph import lasting
from stayfinite.frameworks.tensorflow.guard_sentinel import all_finite
from stayfinite.frameworks.tensorflow.held_values import HeldValues
from stayfinite.frameworks.tensorflow.state import size_of, value_of


class TensorFlowHeavySteps(HeavySteps):
    """Makes the steps of one training.

    Its `plain` makes a step on a batch that it draws: its logs, and the batch.
    """

    def __init__(self, training: HeavyTraining) -> None:
        super().__init__(training.num_bytes)
        self._training = training
        self._variables: list[Any] = []
        # The snapshot, by the position of a variable, and how many bytes each has.
        self._snapshot = training.host_copies()
        self._sizes: dict[int, int] = {}
        # Those that are not in it: the large ones that no step has written to.
        self._unchanged: set[int] = set()
        # Those of the last check, until the next step. Metrics are not among them.
        self._last = HeldValues()
        self._is_traced = False
        self._written: set[int] = set()
        self._is_replaced = False

    @property
    def num_bytes(self) -> int:
        """The size of the state, when its first window began."""
        return self._training.num_bytes

    @property
    def has_variables(self) -> bool:
        """Whether a snapshot was taken before, so that the variables are known."""
        return bool(self._variables)

    def run(self, source: Any) -> tuple[Any, Any]:
        """Make a step on the next batch of `source`: its logs, and the batch."""
        self._last.let_go()
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
        size = self._sizes.get(self._position(variable))
        return size is not None and size <= MAX_WRITTEN_BYTES

    def writing(self, variable: Any) -> None:
        """Other code is about to assign a variable."""
        if self.is_small(variable):
            self._written.add(self._position(variable))
        else:
            self.replace()

    def replace_if_changed(self) -> None:
        """`replace`, unless the state is known to be that of the last check.

        What a hook has told of is written again before the steps that are made again. So are
        metrics, which Keras resets.
        """
        written = {id(self._variables[position]) for position in self._written}
        if not self._last.are_present(apart_from=written):
            self.replace()

    def forget(self) -> None:
        """Begin a new window with the next step."""
        super().forget()
        self._last.let_go()

    def replace(self) -> None:
        """Other code has written to the state, or is about to: the next step begins a window."""
        self._last.let_go()
        self._is_replaced = True

    def _position(self, variable: Any) -> int:
        """The position of a variable; -1 if it is none of the state."""
        raw = private.raw(variable)
        return next((n for n, held in enumerate(self._variables) if held is raw), -1)

    def _writes_of_others(self) -> Writes | None:
        written = sum(self._sizes[position] for position in self._written)
        if self._is_replaced or written > MAX_WRITTEN_BYTES:
            return None
        return {position: self._variables[position].numpy() for position in self._written}

    def wait(self) -> None:
        """Nothing: to read a variable waits."""

    @property
    def snapshot_bytes(self) -> int:
        """The size of the snapshot, on the host."""
        return sum(self._sizes.values())

    @property
    def is_snapshot_in_file(self) -> bool:
        """Whether the snapshot takes no memory of the process."""
        return self._snapshot.is_in_file

    def copy(self) -> None:
        """Take a snapshot of the present state in the place of the last."""
        groups = state_variables(self._training.subject)
        variables = [private.raw(variable) for group in groups for variable in group]
        if [*map(id, variables)] != [*map(id, self._variables)]:
            self._variables, self._unchanged = variables, set()
        positions = [n for n in range(len(variables)) if n not in self._unchanged]
        self._snapshot.replace(
            positions,
            self._value,
            sum(size_of(variables[position]) for position in positions),
            is_on_host=all("CPU" in variable.device for variable in variables),
        )
        self._sizes = self._snapshot.sizes()

    def _value(self, position: int) -> np.ndarray:
        # Its method `numpy` makes a copy of its own.
        return np.asarray(value_of(self._variables[position]))

    def traced(self, is_written: Callable[[Any], bool]) -> None:
        """A step was traced, and is about to be made for the first time.

        A large variable that it does not write to, as a frozen weight, is not kept in the snapshot.
        Other code may write to a small one within a window.

        Args:
            is_written: Whether the step may write to a variable.
        """
        if self._is_traced:
            # No step before has written to these.
            for position in [n for n in self._unchanged if is_written(self._variables[n])]:
                self._unchanged.remove(position)
                with tf.init_scope():
                    self._snapshot.add(position, self._value(position))
            self._sizes = self._snapshot.sizes()
            return
        self._is_traced = True
        for position, variable in enumerate(self._variables):
            is_large = self._sizes[position] > MAX_WRITTEN_BYTES
            if is_large and not is_written(variable):
                self._unchanged.add(position)
                self._snapshot.discard(position)
        self._sizes = self._snapshot.sizes()

    def restore(self) -> None:
        """Assign the values of the snapshot. What was made since then are metrics."""
        self._training.subject.reset_metrics()
        self._last.let_go()
        for position in self._sizes:
            self._variables[position].assign(self._snapshot.read(position))

    def write(self, writes: Writes) -> None:
        """Assign variables."""
        for position, value in writes.items():
            self._variables[position].assign(value)

    def make(self, data: object) -> LateLoss:
        """Make a step from the present state on; returns the mean of the loss."""
        self._last.let_go()
        logs, _ = self._training.plain([data])
        return LateLoss(logs["loss"])

    def is_finite(self) -> bool:
        """Whether the present state is finite, metrics left out."""
        variables = [private.raw(variable) for variable in lasting(self._training.subject)]
        values = [value_of(variable) for variable in variables]
        self._last.hold(variables, values)
        # No step changes the learning rate.
        rate = private.raw(learning_rate_of(self._training.subject.optimizers[0]))
        unchanged = {id(rate), *(id(self._variables[position]) for position in self._unchanged)}
        floating = [
            value
            for variable, value in zip(variables, values, strict=True)
            if value.dtype.is_floating and id(variable) not in unchanged
        ]
        # A sum of squares is faster than a check of each element, and may overflow.
        squares = [float(half) for half in [tf.raw_ops.L2Loss(t=value) for value in floating]]
        return bool(np.isfinite(sum(squares))) or bool(all_finite(floating))

    def is_bad(self, data: object) -> bool:
        """Make a step with the sentinel, and undo it."""
        self._last.let_go()
        return self._training.fails(data)

    def set_aside(self) -> dict[int, np.ndarray]:
        """A copy of the present state."""
        return {position: self._variables[position].numpy().copy() for position in self._sizes}

    def take_back(self, state: Any) -> None:
        """Assign what was set aside."""
        self._last.let_go()
        for position, value in state.items():
            # A tensor may share the memory of an array, and the step writes in place.
            self._variables[position].assign(value.copy())

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
