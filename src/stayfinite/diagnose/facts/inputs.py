"""Facts of what came into a step: state, constants and the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from stayfinite.diagnose.facts.kind import Kind
from stayfinite.frameworks.subject import HeldArray


@dataclass(frozen=True)
class NonFiniteArray:
    """A weight, a statistic or a variable of the optimizer was non-finite before the step.

    `num_steps` says how many steps before it was finite; None where that is not known.
    """

    kind: Kind
    num_bad: int
    size: int
    num_steps: int | None = None


@dataclass(frozen=True)
class NonFiniteConstant:
    """An op of the step has a constant operand that is non-finite; `holder` is where it is kept.

    `array` are its values. `is_new` says that steps before were finite with the same code.
    """

    kind: Kind
    num_bad: int
    size: int
    array: np.ndarray = field(compare=False, repr=False)
    holder: HeldArray | None = None
    is_new: bool = False


@dataclass(frozen=True)
class NonFiniteRows:
    """The batch selects `rows` of an array outside of it, and they are non-finite.

    `rows` is empty where the batch selects something else than rows.
    """

    kind: Kind
    rows: tuple[int, ...]
    num_bad: int
    size: int


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
        kinds: The kinds of non-finite values in it, as ordered in `Kind`; empty without one.
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
class TargetTooLong:
    """A target has more labels than its input has steps, for `num_bad` of `size` samples."""

    num_bad: int
    size: int


@dataclass(frozen=True)
class MissingClass:
    """Labels outside of the classes, on whose one-hot code, all 0, `function` fails."""

    labels: tuple[float, ...]
    num_classes: int
    function: str
    pattern: ValuePattern | None
