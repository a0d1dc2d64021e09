"""A hand-written step that trains variables by optimizers of Keras, as a subject.

Nothing is known of it before its first update: which optimizers it applies, what they train, and
which models these variables belong to, is found by its updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from stayfinite.files.arrays import write_arrays
from stayfinite.frameworks.hand_written import HandWrittenStep
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.calls import layer_path
from stayfinite.frameworks.keras.found_models import metric_variables, models_of
from stayfinite.frameworks.keras.subject import KerasSubject
from stayfinite.frameworks.names import path_of, unique
from stayfinite.frameworks.optimizers import Optimizer
from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.subject import Compilation, Layer, TrainFunction, TrainStep
from stayfinite.frameworks.tensorflow import private
from stayfinite.frameworks.tensorflow.call_arguments import CallArguments
from stayfinite.frameworks.tensorflow.state import numpy_of


class FoundLoop(HandWrittenStep, KerasSubject):
    """A step that is a call of a function of the user's.

    Args:
        function: The function, not compiled.
        name: Its name, for messages.
        xla: Whether XLA compiles it.
    """

    def __init__(self, function: Callable[..., Any], name: str, *, xla: bool) -> None:
        self._function = function
        self._name = name
        self._xla = xla
        self._optimizers: list[Any] = []
        self._trained: list[Any] = []
        self._models: list[Any] = []
        self._others: list[Any] = []
        self._assigned: list[Any] = []

    def note_update(self, optimizer: Any, variables: Iterable[Any]) -> None:
        """The step applies `optimizer` to `variables`."""
        if not any(known is optimizer for known in self._optimizers):
            self._optimizers.append(optimizer)
        self._trained = _distinct([*self._trained, *variables])

    def find_models(self, is_read: Callable[[Any], bool]) -> None:
        """Find the models of its variables, once all of its updates are noted.

        Args:
            is_read: Whether the step reads or writes another variable.
        """
        trained = {id(private.raw(v)) for v in self._trained}
        self._models = models_of(lambda v: id(private.raw(v)) in trained or is_read(v))
        slots = [v for optimizer in self._optimizers for v in optimizer.variables]
        apart = {id(private.raw(v)) for v in (*slots, *metric_variables())} | trained
        held = [v for model in self._models for v in model.variables]
        self._others = _distinct(v for v in held if id(private.raw(v)) not in apart)

    def note_assigned(self, variables: Iterable[Any]) -> None:
        """The step assigns `variables`. Those of no model, as metrics and seeds, are noted."""
        slots = [v for optimizer in self._optimizers for v in optimizer.variables]
        known = {id(private.raw(v)) for v in (*self._trained, *self._others, *slots)}
        self._assigned = [v for v in variables if id(private.raw(v)) not in known]

    @property
    def metrics_variables(self) -> list[Variable]:
        """What the step assigns that belongs to no model: a step made again begins with it."""
        return list(self._assigned)

    @property
    def model(self) -> Any:
        """The only model, or the largest."""
        return self._models[0] if self._models else None

    @property
    def name(self) -> str:
        """The name of the only model, else that of the function."""
        return str(self.model.name) if len(self._models) == 1 else self._name

    @property
    def function_name(self) -> str:
        """The name of the function."""
        return self._name

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return f"the step {self._name}()"

    def kept_alive(self) -> FoundLoop:
        """The loop itself, which refers to its models."""
        return self

    @property
    def input_names(self) -> list[str] | None:
        """None: the batch has the names of the user's arguments."""
        return None

    @property
    def optimizers(self) -> list[Optimizer]:
        """In the order of their updates."""
        return list(self._optimizers)

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those that an update was given."""
        return list(self._trained)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The other variables of the models that the step reads."""
        return list(self._others)

    @property
    def train_step(self) -> TrainStep:
        """A call of the function."""

        def step(data: CallArguments) -> Any:
            return data.call_again(self._function)

        return step

    @property
    def compilation(self) -> Compilation:
        """As `tf.function` compiles it."""
        return Compilation(eager=False, xla=self._xla)

    def make_train_function(self, step: TrainStep | None = None) -> TrainFunction:
        """The train function, which the user's own function makes."""
        assert self.train_function is not None
        return self.train_function

    def layer_path(self, chain: Sequence[object]) -> str | None:
        """The path of the innermost layer, below the name of its model."""
        outermost = next((called for called in chain if isinstance(called, keras.Layer)), None)
        if len(self._models) == 1 or outermost is None:
            return layer_path(self.name, chain)
        return layer_path(outermost.name, chain)

    def layers(self) -> list[Layer]:
        """Every layer of every model."""
        return _distinct(
            [layer for model in self._models for layer in keras_private.flatten_layers(model)]
        )

    @property
    def weights_file(self) -> str:
        """For `model.load_weights`, or a file of arrays by path where there is not one model."""
        return "last_good.weights.h5" if len(self._models) == 1 else "last_good.safetensors"

    def save_weights(self, path: Path) -> None:
        """`model.save_weights`, or the variables by path."""
        if len(self._models) == 1:
            KerasSubject.save_weights(self, path)
            return
        variables = _distinct([*self._trained, *self._others])
        names = unique([path_of(variable) for variable in variables])
        arrays = {
            name: numpy_of(private.raw(variable).read_value())
            for name, variable in zip(names, variables, strict=True)
        }
        write_arrays(path, arrays)


def _distinct(things: Iterable[Any]) -> list[Any]:
    """By identity: the operator `==` compares the values of variables."""
    found: dict[int, Any] = {}
    for thing in things:
        found.setdefault(id(thing), thing)
    return list(found.values())
