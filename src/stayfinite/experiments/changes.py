"""What was changed in a trial, as facts. `report/wording` has the sentences.

A simple change describes itself, as `LearningRate(0.1)`. The classes here describe changes of
arrays in the user's terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stayfinite.frameworks.change import (
    ClipNorm,
    ClipValue,
    LearningRate,
    WiderDtype,
    WithoutSamples,
)
from stayfinite.frameworks.library_setting import LibrarySetting, SettingValue
from stayfinite.graph.graph import Span


@dataclass(frozen=True)
class OtherBatch:
    """The healthy batch of step `step` in the place of the failing one."""

    step: int


@dataclass(frozen=True)
class BisectedSamples:
    """Healthy samples in the place of `samples`, which `num_runs` runs of the step found."""

    samples: tuple[int, ...]
    num_runs: int


@dataclass(frozen=True)
class SourcePatch:
    """The user's file, patched as the fix says."""


@dataclass(frozen=True)
class LabelsFromZero:
    """`tensor` less 1: its labels count from 1."""

    tensor: str


@dataclass(frozen=True)
class NewWeights:
    """Finite values in the place of the `num_values` non-finite ones of the weights `names`."""

    names: tuple[str, ...]
    num_values: int
    initializer: BadInitializer | None = None


@dataclass(frozen=True)
class EarlierWeights:
    """The values of step `step` in the place of the `num_values` of `weights` that are bad."""

    weights: tuple[str, ...]
    num_values: int
    step: int


@dataclass(frozen=True)
class StateOfSteps:
    """The state that the steps since `first` make, in which `name` is as they make it."""

    name: str
    first: int


@dataclass(frozen=True)
class BadInitializer:
    """The initializer `called` gives non-finite values for the shape of the weight `weight`."""

    weight: str
    called: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NewStatistics:
    """The moving statistic `tensor` as its layer creates it, or with one number everywhere.

    Attributes:
        fill: That number, where the layer cannot create it again.
    """

    tensor: str
    fill: float | None = None


@dataclass(frozen=True)
class NewMomentum:
    """The momentum `value` for the layer `layer`, which has `given`; statistics as created."""

    layer: str
    given: float
    value: float


@dataclass(frozen=True)
class WiderLayer:
    """The layer `layer` in float32: a number of it leaves the range of `dtype`."""

    layer: str | None
    dtype: str


@dataclass(frozen=True)
class OptimizerSetting:
    """Settings of an optimizer with other values.

    Args:
        optimizer: Its class.
        name: The setting at fault.
        given: Its value; None for a constraint, which has no number.
        values: What is set instead.
        schedule: What computes the learning rate, where it is no number.
    """

    optimizer: str
    name: str
    given: float | None
    values: tuple[tuple[str, float | None], ...]
    schedule: str | None = None


@dataclass(frozen=True)
class OptimizerVariable:
    """The variable `name` of an optimizer with the value `value` everywhere.

    `given` is its value, where it is a scalar. `is_rate`: it is the learning rate.
    """

    name: str
    value: float
    given: float | None
    is_rate: bool


@dataclass(frozen=True)
class RateSource:
    """What sets a learning rate: a schedule, or the function of the user's that a callback calls.

    Attributes:
        called: Its name; None for a line of a script that is in no function.
        span: Where the user wrote or created it, if that is known.
    """

    called: str | None
    span: Span | None = None


@dataclass(frozen=True)
class EarlierRate:
    """The learning rate `before`, which has risen to `now`; by `source`, if that is known."""

    before: float
    now: float
    source: RateSource | None = None


@dataclass(frozen=True)
class LowerRate:
    """The learning rate, divided by `times`."""

    times: int


@dataclass(frozen=True)
class UsualRate:
    """The learning rate `rate` in the place of `given`."""

    rate: float
    given: float


@dataclass(frozen=True)
class ClipFromStart:
    """Gradients clipped to the norm `norm` in every step."""

    norm: float


@dataclass(frozen=True)
class ScaledData:
    """Arrays of every batch divided by their largest magnitude; `top` is the largest of all."""

    names: tuple[str, ...]
    roles: tuple[Literal["input", "target"], ...]
    top: float


@dataclass(frozen=True)
class NarrowWeights:
    """Weights initialised with a smaller deviation, and gradients clipped to `clipnorm`, if any."""

    names: tuple[str, ...]
    clipnorm: float | None = None


GrowthRemedy = EarlierRate | LowerRate | UsualRate | ClipFromStart | ScaledData | NarrowWeights


@dataclass(frozen=True)
class FromEarlierState:
    """`num_steps` steps from the state of step `first` on, with `remedy`."""

    remedy: GrowthRemedy
    first: int
    num_steps: int


@dataclass(frozen=True)
class OtherHalf:
    """Numbers in `given`, a dtype of half precision, as `dtype`.

    `of_weights`: weights are stored in it; otherwise autocast computes in it.
    """

    given: str
    dtype: str
    of_weights: bool


@dataclass(frozen=True)
class OtherLibrarySetting:
    """The setting of a library with the value `value`."""

    setting: LibrarySetting
    value: SettingValue


@dataclass(frozen=True)
class BoundedWeight:
    """The weight `name`, whose exponential is taken, at most `bound`; it is `given`."""

    name: str
    given: float
    bound: float


@dataclass(frozen=True)
class PaddingOnRight:
    """The padding of `num_rows` rows, which `mask` has on their left, moved to their right."""

    mask: str
    num_rows: int


@dataclass(frozen=True)
class UnmaskedRows:
    """The `num_rows` rows of `mask` without a key, with every key."""

    mask: str
    num_rows: int


LibraryRemedy = OtherHalf | OtherLibrarySetting | BoundedWeight | PaddingOnRight | UnmaskedRows

Remedy = (
    LabelsFromZero
    | NewWeights
    | EarlierWeights
    | StateOfSteps
    | NewStatistics
    | NewMomentum
    | WiderLayer
    | OptimizerSetting
    | OptimizerVariable
    | FromEarlierState
    | LibraryRemedy
)

TriedChange = (
    LearningRate
    | ClipNorm
    | ClipValue
    | WiderDtype
    | WithoutSamples
    | OtherBatch
    | BisectedSamples
    | SourcePatch
    | Remedy
)
