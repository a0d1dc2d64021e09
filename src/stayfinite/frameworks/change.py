"""The changes to a step, as values. `Step.run` and `Step.changed` apply them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.library_setting import LibrarySetting, SettingValue
from stayfinite.frameworks.state import State


@dataclass(frozen=True)
class Unchanged:
    """The step as it was."""


@dataclass(frozen=True)
class LearningRate:
    """The learning rate times `factor`."""

    factor: float


@dataclass(frozen=True)
class ClipNorm:
    """Each gradient clipped to the L2 norm `norm`, as `Optimizer(clipnorm=norm)` does."""

    norm: float

    def clipped(self, gradient: np.ndarray) -> np.ndarray:
        """`gradient`, scaled down to the norm where it is longer."""
        # In NumPy: compiling a clip for each shape of a network takes longer than the clipping.
        with np.errstate(all="ignore"):
            length = np.sqrt(np.sum(np.square(gradient)))
            clipped: np.ndarray = gradient * self.norm / np.maximum(length, self.norm)
        return clipped.astype(gradient.dtype)

    def settings(self) -> Settings:
        """The same as settings of an optimizer that then clips in no other way."""
        return Settings({"clipnorm": self.norm, "global_clipnorm": None, "clipvalue": None})


@dataclass(frozen=True)
class ClipValue:
    """Each gradient element clipped to `[-value, value]`, as `Optimizer(clipvalue=value)` does."""

    value: float

    def clipped(self, gradient: np.ndarray) -> np.ndarray:
        """`gradient` with each element in the interval."""
        clipped: np.ndarray = np.clip(gradient, -self.value, self.value)
        return clipped.astype(gradient.dtype)


@dataclass(frozen=True)
class Settings:
    """Attributes of the optimizers, by name, with other values.

    `learning_rate` may stand for a schedule, and `constraint` is that of every weight.
    """

    values: Mapping[str, object]


@dataclass(frozen=True)
class HighestRate:
    """Learning rates above `rate` lowered to it."""

    rate: float


@dataclass(frozen=True)
class LayerSetting:
    """The attribute `name` of the layer at `path` with another value."""

    path: str
    name: str
    value: object


@dataclass(frozen=True)
class LossScale:
    """The scale of each `LossScaleOptimizer` at `value`, and the gradients under it in the outcome.

    There they are divided by the scale. Otherwise an outcome does not have them: the optimizer
    finds its scale by skipping those that are not finite.
    """

    value: float


@dataclass(frozen=True)
class WiderDtype:
    """Every floating-point value of the step in float64."""


@dataclass(frozen=True)
class HalfAs:
    """Every number in half precision as `dtype`, "bfloat16" or "float32"."""

    dtype: str


@dataclass(frozen=True)
class OtherSetting:
    """A setting of the objects of a library with another value."""

    setting: LibrarySetting
    value: SettingValue


@dataclass(frozen=True)
class Compiled:
    """The whole step as one program, where the training compiles it; it rounds differently then."""


@dataclass(frozen=True)
class OnBatch:
    """The same step on another batch."""

    batch: Batch


@dataclass(frozen=True)
class OnState:
    """The same step on another state, in which some values may be NumPy arrays."""

    state: State


@dataclass(frozen=True)
class Arrays:
    """Some arrays of the state replaced, by the names of `Step.state_arrays`."""

    values: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class WithoutSamples:
    """The suspect samples of the batch replaced by others of it; shapes stay as they were."""

    samples: tuple[int, ...]


@dataclass(frozen=True)
class SamplesFrom:
    """Some samples of the batch replaced by those of another batch of the same shapes."""

    samples: tuple[int, ...]
    other: Batch


@dataclass(frozen=True)
class OnDevice:
    """The same step on another device, one of `Backend.other_devices`."""

    device: str


@dataclass(frozen=True)
class Source:
    """The user's file with an edit. Inside `in_place()` the live functions run the edited code."""

    in_place: Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class WholeIteration:
    """The step with the other updates of its iteration, whose gradients are in the outcome."""


# What may stay changed for all later steps of a training.
LastingChange = LearningRate | HighestRate | ClipNorm | Settings

Change = (
    Unchanged
    | LearningRate
    | ClipNorm
    | ClipValue
    | Settings
    | LayerSetting
    | LossScale
    | WiderDtype
    | HalfAs
    | OtherSetting
    | Compiled
    | OnBatch
    | OnState
    | Arrays
    | WithoutSamples
    | SamplesFrom
    | OnDevice
    | Source
    | WholeIteration
)
