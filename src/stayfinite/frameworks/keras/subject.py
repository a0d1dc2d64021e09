"""What a subject has from its Keras model, however the model is trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.held_arrays import holder_of
from stayfinite.frameworks.subject import HeldArray, Layer, Subject, Variable
from stayfinite.graph.graph import Role


class KerasSubject(Subject):
    """A training of a Keras model."""

    @property
    @abstractmethod
    def model(self) -> Any:
        """The model."""

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self.model.name)

    @property
    def kind(self) -> str:
        """The class of the model."""
        return type(self.model).__name__

    @property
    def input_names(self) -> list[str] | None:
        """The names of the inputs of a functional model."""
        # A model that subclasses `keras.Model` has no `inputs`.
        inputs = getattr(self.model, "inputs", None)
        return [tensor.name for tensor in inputs] if inputs else None

    @property
    def trainable_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self.model.trainable_variables)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """Those of the model."""
        return list(self.model.non_trainable_variables)

    def roles(self) -> list[list[Role]]:
        """The roles of the variables of a state."""
        return keras_private.roles(self)

    def layers(self) -> list[Layer]:
        """Every layer of the model."""
        return keras_private.flatten_layers(self.model)

    def layer(self, path: str) -> Layer | None:
        """The layer with this path."""
        return keras_private.layer_at(self.layers(), path)

    def holder_of(self, array: np.ndarray, codes: Sequence[CodeType]) -> HeldArray | None:
        """What holds an array that is no variable."""
        return holder_of(array, self.layers(), codes)

    def save_weights(self, path: Path) -> None:
        """`model.save_weights`."""
        self.model.save_weights(path)
