"""One thing different about a step. A backend's `Step.run` knows how to make each of them so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np


class ChangeError(ValueError):
    """A step cannot be run with this change: it has no sample to put in the place of another."""


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


@dataclass(frozen=True)
class ClipValue:
    """Each gradient element clipped to `[-value, value]`, as `Optimizer(clipvalue=value)` does."""

    value: float


@dataclass(frozen=True)
class Settings:
    """Attributes of the optimizers, by name, with other values.

    `learning_rate` may stand for a schedule, and `constraint` is that of every weight.
    """

    values: Mapping[str, Any]


@dataclass(frozen=True)
class LayerSetting:
    """The attribute `name` of the layer at `path` with another value."""

    path: str
    name: str
    value: Any


@dataclass(frozen=True)
class WiderDtype:
    """Every floating-point value of the step in float64."""


@dataclass(frozen=True)
class Batch:
    """The same step on another batch, in the backend's own form."""

    data: Any


@dataclass(frozen=True)
class State:
    """The same step on another state, in the backend's own form or with host arrays in it."""

    values: Any


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
    other: Any


@dataclass(frozen=True)
class Source:
    """The user's file with an edit. Inside `in_place()` the live functions run the edited code."""

    in_place: Callable[[], AbstractContextManager[Any]]


Change = (
    Unchanged
    | LearningRate
    | ClipNorm
    | ClipValue
    | Settings
    | LayerSetting
    | WiderDtype
    | Batch
    | State
    | Arrays
    | WithoutSamples
    | SamplesFrom
    | Source
)
