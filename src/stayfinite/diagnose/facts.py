"""The facts of a finding: one class for each kind, with numbers, names and enumerations.

Nothing here is a sentence; `report.wording` writes them. Magnitudes and counts are those of the
failing step. `num_bad` of `size` elements are at fault.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

import numpy as np

from stayfinite.frameworks.subject import HeldArray
from stayfinite.numerics.functions import Domain

Kind = Literal["nan", "inf", "-inf"]

# --- Inputs of the step ---


@dataclass(frozen=True)
class NonFiniteArray:
    """A weight, a statistic or a variable of the optimizer was non-finite before the step."""

    kind: Kind
    num_bad: int
    size: int


@dataclass(frozen=True)
class NonFiniteConstant:
    """An op of the step has a constant operand that is non-finite; `holder` is where it is kept.

    `array` are its values.
    """

    kind: Kind
    num_bad: int
    size: int
    array: np.ndarray = field(compare=False, repr=False)
    holder: HeldArray | None = None


class StatisticProblem(Enum):
    """What is wrong with a finite moving statistic."""

    NEGATIVE = auto()
    TOO_LARGE = auto()


@dataclass(frozen=True)
class ImpossibleStatistic:
    """A layer reads a finite statistic that it cannot compute with; `worst` is its worst value."""

    problem: StatisticProblem
    worst: float
    num_bad: int
    size: int


class ValuePattern(Enum):
    """What the bad values of a batch look like."""

    UNFILLED_OR_BYTE_ORDER = auto()
    LAST_SAMPLES = auto()
    WHOLE_SAMPLES = auto()
    WHOLE_FEATURE = auto()
    MISSING_VALUE = auto()
    UNDEFINED_RESULT = auto()
    LOG_OF_0 = auto()
    DIVISION_BY_0 = auto()
    WRAPPED_INTEGER = auto()
    UNFILLED_OR_WRAPPED = auto()
    NAN_AS_INTEGER = auto()
    COUNTS_FROM_1 = auto()
    NEGATIVE_FOR_IGNORE = auto()


@dataclass(frozen=True)
class BadValues:
    """An array of the batch is non-finite or absurdly large.

    Args:
        kinds: The kinds of non-finite values in it, NaN first; empty if there are none.
        has_large: Whether it has absurdly large finite values.
        largest: Its largest magnitude.
        healthy: The largest magnitude of this array in healthy batches, if one is known.
        num_bad: Bad elements.
        size: Elements.
        feature: The column of a table that has all of them, if there is one.
        pattern: What they look like.
    """

    kinds: tuple[Kind, ...]
    has_large: bool
    largest: float
    healthy: float | None
    num_bad: int
    size: int
    feature: int | None
    pattern: ValuePattern | None


@dataclass(frozen=True)
class MissingIndex:
    """The batch has indices outside of a table of `shape`, whose last index is `last`."""

    indices: tuple[float, ...]
    shape: tuple[int, ...]
    last: int
    pattern: ValuePattern | None


@dataclass(frozen=True)
class MissingValueCode:
    """A target holds `lowest` where the others are at least `others_from`, and `function` fails."""

    lowest: float
    others_from: float
    function: str


@dataclass(frozen=True)
class MissingClass:
    """Labels outside of the classes, on whose one-hot code, all 0, `function` fails."""

    labels: tuple[float, ...]
    num_classes: int
    function: str
    pattern: ValuePattern | None


# --- Growth ---


@dataclass(frozen=True)
class JumpedWeight:
    """`num_jumped` of `size` elements of a weight were changed by no update of the optimizer.

    The largest is `now` and was `before`, `num_steps` steps before. All other elements of the
    weights are at most `others`, and have not grown. Where the element is `tried`, a size that
    growth over steps would have passed, an update makes it `updated` at most.
    """

    before: float
    now: float
    others: float
    num_steps: int
    num_jumped: int
    size: int
    tried: float
    updated: float


@dataclass(frozen=True)
class GrowthOverSteps:
    """`weight`, or the values at the failing op if None, grew over `num_steps` steps.

    `operand` is the largest operand of the failing op now, and `operand_before` with the earlier
    weights, on the same batch. `factor` is the growth of one step.
    """

    weight: str | None
    before: float
    now: float
    num_steps: int
    factor: float
    operand: float
    operand_before: float
    dtype: str


@dataclass(frozen=True)
class GrowthOverLayers:
    """Values grew from those of the input over `num_products` products with weights."""

    came_in: float
    largest: float
    num_products: int
    operand: float
    dtype: str


@dataclass(frozen=True)
class GrowthInLoop:
    """A loop that is one op left the range from ordinary operands."""


# --- Where an op failed ---


@dataclass(frozen=True)
class ZeroDivisor:
    """The divisor is exactly 0."""

    is_nan: bool
    num_bad: int
    size: int


@dataclass(frozen=True)
class AtLogPole:
    """The operand of a logarithm is exactly at its pole."""

    pole: float
    num_bad: int
    size: int
    dtype: str


@dataclass(frozen=True)
class AtSingularPoint:
    """A value is finite and its derivative is not.

    Args:
        points: The arguments at which this is so: the critical operand, or both operands.
        derivative: The derivative at the first point, as Python with numbers in it.
        value: What it gives: infinite, or NaN.
    """

    points: tuple[tuple[float, ...], ...]
    derivative: str
    value: float


@dataclass(frozen=True)
class SingularDerivative:
    """The derivative of a function that is not in `numerics.functions` divides by 0."""


@dataclass(frozen=True)
class SingularInside:
    """The value of `function` is finite, though the op inside it is infinite at `point`."""

    function: str
    point: float


@dataclass(frozen=True)
class SquareVanishes:
    """The square of a divisor, which the derivative divides by, rounds to 0."""

    divisor: float
    smallest: float
    dtype: str


@dataclass(frozen=True)
class OutsideDomain:
    """The operand is outside of `domain`; None where only the NaN shows it."""

    worst: float
    domain: Domain | None
    num_bad: int
    size: int


@dataclass(frozen=True)
class NothingToReduce:
    """The mean of no elements; the operand has this shape."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class EmptyCount:
    """The divisor of a mean, a count or a sum of weights, is 0."""

    num_bad: int
    size: int


@dataclass(frozen=True)
class FullyMaskedRow:
    """All scores of a row are -inf; whether the function is infinite there, or has no value."""

    is_infinite: bool


@dataclass(frozen=True)
class MaskOutOfRange:
    """As `FullyMaskedRow`, with a mask that is -inf in `dtype` and finite in float32."""

    dtype: str


class Leak(Enum):
    """How a discarded value comes back."""

    GRADIENT = auto()
    PRODUCT_WITH_0 = auto()


@dataclass(frozen=True)
class Discarded:
    """A discarded value is non-finite, and the gradient has it again."""

    kind: Kind
    leak: Leak
    num_bad: int
    size: int


@dataclass(frozen=True)
class OutOfRange:
    """A result is past `largest`, the largest number of `dtype`; `worst` is the operand."""

    worst: float
    dtype: str
    largest: float
    num_bad: int
    size: int
    float32_holds: bool = False


@dataclass(frozen=True)
class LiteralOutOfRange:
    """A number in the source is past the range of `dtype`."""

    number: float
    dtype: str
    largest: float


# --- Epsilons that have no effect ---


@dataclass(frozen=True)
class EpsilonAbsorbed:
    """The sum with `epsilon` is the other operand."""

    epsilon: float
    dtype: str


@dataclass(frozen=True)
class EpsilonRoundedTo0:
    """`epsilon` as written, None if it is not in the expression, is 0 in `dtype`."""

    epsilon: float | None
    dtype: str


@dataclass(frozen=True)
class OneMinusEpsilonIs1:
    """The upper bound of a clip, 1 less an epsilon, is 1 in `dtype`."""

    dtype: str


@dataclass(frozen=True)
class EpsilonLostInConstant:
    """`whole` plus `epsilon` is `whole` in `dtype`."""

    whole: float
    epsilon: float
    dtype: str


@dataclass(frozen=True)
class Underflow:
    """Without an epsilon: a number that float32 holds is 0 in `dtype`."""

    dtype: str


LostEpsilon = (
    EpsilonAbsorbed | EpsilonRoundedTo0 | OneMinusEpsilonIs1 | EpsilonLostInConstant | Underflow
)
PoleFacts = ZeroDivisor | AtLogPole | AtSingularPoint | SingularDerivative | SingularInside


@dataclass(frozen=True)
class VanishedEpsilon:
    """An epsilon had no effect, so that a pole was met."""

    lost: LostEpsilon
    pole: PoleFacts


# What one expression can do wrong by itself.
ExpressionFacts = (
    ZeroDivisor
    | AtLogPole
    | AtSingularPoint
    | SingularDerivative
    | SingularInside
    | SquareVanishes
    | OutsideDomain
    | NothingToReduce
    | EmptyCount
    | FullyMaskedRow
    | MaskOutOfRange
    | Discarded
    | OutOfRange
    | LiteralOutOfRange
    | VanishedEpsilon
)


# --- New state ---


@dataclass(frozen=True)
class Reason:
    """Why the expression at the root failed: the op and its facts."""

    function: str
    facts: ExpressionFacts


@dataclass(frozen=True)
class BadNewStatistic:
    """The step made a moving statistic, `name` if it is known, non-finite."""

    name: str | None
    kind: Kind
    num_bad: int
    size: int
    reason: Reason | None = None


@dataclass(frozen=True)
class HostNumber:
    """A scalar of the update, made by `function`, reached the failing op through the host."""

    kind: Kind
    function: str


@dataclass(frozen=True)
class BadNewWeights:
    """The update made `names` non-finite, from finite gradients, at `function`."""

    names: tuple[str, ...]
    kind: Kind
    function: str
    num_bad: int
    size: int
    reason: Reason | HostNumber | None = None


# --- Unknown ---


@dataclass(frozen=True)
class UnexplainedOp:
    """An op gave a non-finite result for no known reason."""

    kind: Kind
    has_operands: bool
    num_bad: int
    size: int


@dataclass(frozen=True)
class UnexplainedInput:
    """An input is non-finite, and no rule is about inputs of its role."""


Facts = (
    ExpressionFacts
    | NonFiniteArray
    | NonFiniteConstant
    | ImpossibleStatistic
    | BadValues
    | MissingIndex
    | MissingValueCode
    | MissingClass
    | JumpedWeight
    | GrowthOverSteps
    | GrowthOverLayers
    | GrowthInLoop
    | BadNewStatistic
    | BadNewWeights
    | UnexplainedOp
    | UnexplainedInput
)
