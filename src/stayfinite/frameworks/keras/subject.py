"""What a subject has from its Keras model, however the model is trained."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from stayfinite.errors import CannotGuardError
from stayfinite.files.hdf5_writing import errors_raised_at_end
from stayfinite.frameworks import base
from stayfinite.frameworks.base import GuardedFunction, OnBad
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.change import LastingChange
from stayfinite.frameworks.failure import Files
from stayfinite.frameworks.keras import optimizer_settings, roles
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.batches import without_samples
from stayfinite.frameworks.keras.calls import layer_path
from stayfinite.frameworks.keras.held_arrays import holder_of
from stayfinite.frameworks.keras.lasting_settings import lasting
from stayfinite.frameworks.keras.sample_files import files_of
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.subject import HeldArray, Layer, Subject
from stayfinite.graph.graph import Role


class KerasSubject(Subject):
    """A training of a Keras model."""

    @property
    @abstractmethod
    def model(self) -> Any:
        """The model."""

    @property
    def library(self) -> str:
        """Keras."""
        return "keras"

    def attach(self, recorder: Recorder, on_bad: OnBad, *, resumes: bool) -> GuardedFunction:
        """Have the backend of Keras put the sentinel into the train function."""
        try:
            return base.current().attach(self, recorder, on_bad, resumes=resumes)
        except CannotGuardError:
            raise
        except Exception as error:
            raise CannotGuardError(
                f"the guard cannot attach to {self.kind}: {type(error).__name__}: {error}"
            ) from error

    @property
    def fixed_rate(self) -> WhyNot | None:
        """A step that updates the weights by itself has a learning rate that is not known."""
        return None if self.optimizers else WhyNot(Obstacle.NO_OPTIMIZER)

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
        return roles.roles(self)

    def may_keep_infinity(self) -> list[int]:
        """Those that no layer of Keras has."""
        return roles.may_keep_infinity(self)

    def settings(self, values: Mapping[str, object]) -> AbstractContextManager[None]:
        """Attributes of the optimizers with other values inside the block."""
        return optimizer_settings.settings(self, values)

    def scaled_learning_rates(self, factor: float) -> AbstractContextManager[None]:
        """Every learning rate times `factor` inside the block."""
        return optimizer_settings.scaled_learning_rates(self, factor)

    def layer_path(self, chain: Sequence[object]) -> str | None:
        """`model/block/dense` for the layers in `chain`."""
        return layer_path(self.name, chain)

    def layers(self) -> list[Layer]:
        """Every layer of the model."""
        return keras_private.flatten_layers(self.model)

    def layer(self, path: str) -> Layer | None:
        """The layer with this path.

        The path of an op begins with the name of the model, that of a layer or weight may not.
        """
        layers = self.layers()
        for layer in layers:
            if getattr(layer, "path", None) == path:
                return layer
        name = path.rpartition("/")[2]
        named = [layer for layer in layers if layer.name == name]
        return named[0] if len(named) == 1 else None

    def holder_of(
        self, array: np.ndarray, codes: Sequence[CodeType], data: object
    ) -> HeldArray | None:
        """What holds an array that is no variable."""
        return holder_of(array, self.layers(), codes)

    @property
    def weights_file(self) -> str:
        """For `model.load_weights`."""
        return "last_good.weights.h5"

    def save_weights(self, path: Path) -> None:
        """`model.save_weights`."""
        with errors_raised_at_end():
            self.model.save_weights(path)

    def files_of(self, data: object, batch: int | None) -> tuple[Files, ...] | None:
        """Those that the data set of the present `fit` returns."""
        return files_of(data, batch)

    def without_samples(self, batch: Batch, samples: Sequence[int]) -> object:
        """The data of `batch` with other samples of it in the place of `samples`."""
        return without_samples(batch, samples)

    def lasting(self, change: LastingChange) -> Callable[[], None]:
        """Changes the optimizers until the program ends."""
        return lasting(self, change)
