"""Facts of one expression: the op that failed, and epsilons that had no effect there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from stayfinite.diagnose.facts.kind import Kind
from stayfinite.numerics.functions import Domain


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
class SingularMatrix:
    """A factorization or an inverse of matrices, `num_bad` of which are singular in `dtype`.

    Args:
        is_positive: Whether they have to be positive definite, not only regular.
        smallest: The smallest eigenvalue of the worst, or singular value where any sign will do.
        largest: The largest one.
        num_rows: The rows of a matrix.
        dtype: The dtype.
        num_bad: How many are singular.
        num_matrices: Of how many.
    """

    is_positive: bool
    smallest: float
    largest: float
    num_rows: int
    dtype: str
    num_bad: int
    num_matrices: int


@dataclass(frozen=True)
class NothingToReduce:
    """The mean of no elements; the operand has this shape."""

    shape: tuple[int, ...]


@dataclass(frozen=True)
class ExtremeOfNothing:
    """A maximum or minimum of no elements: of a masked row, or of a group that has none.

    Args:
        result: What it gives: an infinity, or NaN.
        by_group: Whether it is that of a group.
        num_bad: How many results are of no elements.
        size: Of how many.
    """

    result: float
    by_group: bool
    num_bad: int
    size: int


@dataclass(frozen=True)
class EmptyCount:
    """The divisor of a mean, a count or a sum of weights, is 0.

    `is_whole`: all its elements are whole numbers, as counts are.
    """

    num_bad: int
    size: int
    is_whole: bool = True


@dataclass(frozen=True)
class FullyMaskedRow:
    """All scores of a row are masked: they are -inf, or their exponentials multiplied by 0.

    `is_infinite`: the function is infinite there; otherwise it has no value.
    """

    is_infinite: bool
    by_product: bool = False


@dataclass(frozen=True)
class MaskOutOfRange:
    """As `FullyMaskedRow`, with a mask that is -inf in `dtype` and finite in float32."""

    dtype: str


class Leak(Enum):
    """How a discarded value comes back."""

    GRADIENT = auto()
    DERIVATIVE = auto()  # as above; the value itself is finite
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
    | SingularMatrix
    | NothingToReduce
    | ExtremeOfNothing
    | EmptyCount
    | FullyMaskedRow
    | MaskOutOfRange
    | Discarded
    | OutOfRange
    | LiteralOutOfRange
    | VanishedEpsilon
)
