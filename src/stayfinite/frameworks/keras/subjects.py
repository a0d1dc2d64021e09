"""A hand-written step with its model and optimizers, in the place of a model that has a `fit`.

The backends use of a model what is here and no more, so what offers the same can be guarded: a
model of another library with its own optimizer would be another class beside these two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from stayfinite.errors import UsageError
from stayfinite.frameworks import base


class Loop:
    """A step that changes the variables of its model in place: TensorFlow, PyTorch."""

    def __init__(self, step: Callable[..., Any], model: Any, optimizers: Sequence[Any]) -> None:
        self.model = model
        self.name = model.name
        self.inputs = getattr(model, "inputs", None)
        self.optimizer, *others = optimizers
        for number, other in enumerate(others):
            setattr(self, f"optimizer_{number}", other)
        self.metrics_variables: list[Any] = []
        self.train_function: Any = None
        self.compile: Callable[[Any], Any] = lambda train_step: train_step
        self._step = base.current().plain(step)
        self._packed = False
        base.current().prepare(self, step)

    @property
    def trainable_variables(self) -> list[Any]:
        """As of the model."""
        return list(self.model.trainable_variables)

    @property
    def non_trainable_variables(self) -> list[Any]:
        """As of the model."""
        return list(self.model.non_trainable_variables)

    def reset_metrics(self) -> None:
        """The metrics of a loop are its own affair."""

    def save_weights(self, path: Path) -> None:
        """As of the model."""
        self.model.save_weights(path)

    def make_train_function(self, force: bool = False) -> None:
        """As of a Keras model: `train_function` from `train_step`."""
        self.train_function = self.compile(self.train_step)

    def train_step(self, *args: Any) -> Any:
        """The user's step on one batch."""
        (data,) = args
        return self._call(data)

    def make(self, args: tuple[Any, ...]) -> Any:
        """One guarded step with the arguments of the user's call."""
        return self.train_function(base.current().one_batch(self._batch(args)))

    def _call(self, *first_and_data: Any) -> Any:
        *first, data = first_and_data
        return self._step(*first, data) if self._packed else self._step(*first, *data)

    def _batch(self, args: tuple[Any, ...]) -> Any:
        """The batch: the arguments, or the one structure that they are."""
        self._packed = len(args) == 1
        return args[0] if self._packed else args

    def _flatten_layers(self) -> list[Any]:
        return list(self.model._flatten_layers())


class StatelessLoop(Loop):
    """A step from state to state: JAX."""

    def train_step(self, *args: Any) -> Any:
        """The user's step as Keras has it: `(state, data)` to `(logs, state)`."""
        state, data = args
        out, new = self._call(keras.tree.pack_sequence_as(self._structure, _flat(state)), data)
        parts = self._parts(new)
        return {"loss": _loss_of(out), "out": out}, tuple(parts)

    def make(self, args: tuple[Any, ...]) -> Any:
        """See `Loop.make`; the first argument is the state."""
        state, *rest = args
        parts = self._parts(state)
        if len(self.metrics_variables) != len(parts[3]):
            self.metrics_variables = [_Held(value) for value in parts[3]]
        self._structure = state
        batches = base.current().one_batch(self._batch(tuple(rest)))
        logs, new = self.train_function(tuple(parts), batches)
        return logs["out"], keras.tree.pack_sequence_as(state, _flat(new))

    def _parts(self, state: Any) -> list[list[Any]]:
        """`state` as Keras's four lists; a fourth part, of metrics, may be missing."""
        expected = (
            len(self.trainable_variables),
            len(self.non_trainable_variables),
            len(self.optimizer.variables),
        )
        parts = [list(part) for part in state] if isinstance(state, tuple | list) else []
        if len(parts) not in (3, 4) or tuple(map(len, parts[:3])) != expected:
            raise UsageError(
                "the state of a guarded step has to be (trainable, non-trainable, optimizer "
                f"variables) of the model and its optimizer, of lengths {expected}; received "
                f"{tuple(map(len, parts)) or type(state).__name__}"
            )
        return [*parts, *[[]] * (4 - len(parts))]


class _Held:
    """The value of a metric that the loop holds itself, where a variable is expected."""

    path = "metric"

    def __init__(self, value: Any) -> None:
        self.value = value

    def assign(self, value: Any) -> None:
        self.value = value


def _flat(state: Any) -> list[Any]:
    return [value for part in state for value in part]


def _loss_of(out: Any) -> Any:
    if isinstance(out, dict):
        return out.get("loss")
    return out[0] if isinstance(out, tuple | list) else out
