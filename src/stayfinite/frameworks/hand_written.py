"""What every subject has whose step the user wrote: no metrics, no config, nothing to prepare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, Protocol

import numpy as np

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.failure import Files
from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.subject import HeldArray, Layer, Subject, TrainFunction

# What `HandWrittenStep.quick` returns for a call of which no step was made.
NOT_MADE = object()


class StepGuard(Protocol):
    """The guard of one step function that was found in the user's program."""

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step; returns what the user's function returns."""
        ...


class HandWrittenStep(Subject):
    """A subject without `fit`, with or without a Keras model.

    Attributes:
        quick: Makes the step of a call of the user's in the shortest way, and returns what the call
            returns, or `NOT_MADE`; None where there is no such way.
    """

    train_function: TrainFunction | None = None
    quick: Callable[[tuple[Any, ...], Mapping[str, Any]], Any] | None = None

    @property
    def is_built(self) -> bool:
        """True: weights and slots are made before the first step."""
        return True

    @property
    def metrics_variables(self) -> list[Variable]:
        """None: the user's loop has its own metrics, if any."""
        return []

    @property
    def uses_default_train_step(self) -> bool:
        """False: what follows the update is not known."""
        return False

    @property
    def uses_default_metrics(self) -> bool:
        """False: the step may compute some."""
        return False

    def reset_metrics(self) -> None:
        """Nothing: see `metrics_variables`."""

    def metrics_result(self) -> dict[str, object]:
        """None: see `metrics_variables`."""
        return {}

    def forget_functions(self) -> None:
        """Nothing: a loop has no function for evaluation or prediction."""

    def state_was_stored(self) -> None:
        """Nothing: the library keeps no other copy of the state."""

    def stored_state_is_given_away(self) -> None:
        """Nothing: see `state_was_stored`."""

    def config(self) -> dict[str, object] | None:
        """None: the step is code of the user."""
        return None

    def prepare(self, data: object) -> None:
        """Nothing: see `is_built`."""


class PlainStep(HandWrittenStep):
    """A hand-written step without Keras."""

    @property
    def input_names(self) -> list[str] | None:
        """None: the batch has the names of the user's variables."""
        return None

    def layers(self) -> list[Layer]:
        """None: no layer has settings that can be changed."""
        return []

    def layer(self, path: str) -> Layer | None:
        """None: see `layers`."""
        return None

    def holder_of(
        self, array: np.ndarray, codes: Sequence[CodeType], data: object
    ) -> HeldArray | None:
        """None: an array that is not part of the state belongs to the user's loop."""
        return None

    @property
    def weights_file(self) -> str:
        """A file of arrays by path."""
        return "last_good.safetensors"

    def files_of(self, data: object, batch: int | None) -> tuple[Files, ...] | None:
        """None: the loop reads its files itself."""
        return None

    def without_samples(self, batch: Batch, samples: Sequence[int]) -> object:
        """The data of `batch` with other samples of it in the place of `samples`."""
        return batch.without(samples).data
