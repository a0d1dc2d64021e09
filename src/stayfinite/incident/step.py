"""What happened in the step: when it ran, what made it bad, where, and how far that got."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from stayfinite.incident.numbers import Number, parse_numbers

Phase = Literal["load", "data", "forward", "backward", "update", "statistics"]
Certainty = Literal["confirmed", "likely", "unknown"]


class Incoming(StrEnum):
    """What came into the step with a bad value, in the place of the name of an op."""

    INPUT = "input"
    TARGET = "target"
    SAMPLE_WEIGHT = "sample weight"
    WEIGHT = "weight"
    STATE = "state"


@dataclass(frozen=True)
class Where:
    """When the step ran; every number counts from 0.

    `step` is the number of training steps the model made before this one in the whole script.
    """

    epoch: int | None
    batch: int | None
    step: int
    phase: Phase


@dataclass(frozen=True)
class Cause:
    """The name of the cause, its certainty, and one complete sentence."""

    name: str
    certainty: Certainty
    message: str


@dataclass(frozen=True)
class Operand:
    """One operand of the first bad op. `min` and `max` are over its finite elements."""

    shape: tuple[int, ...]
    dtype: str
    min: Number | None
    max: Number | None
    num_nonfinite: int

    def __post_init__(self) -> None:
        parse_numbers(self, "min", "max")


@dataclass(frozen=True)
class Origin:
    """Where the first harmful non-finite value was made.

    `op` is the canonical name of an op, or one of `Incoming`.
    `line` and `end_line` count from 1, `column` and `end_column` from 0 and in UTF-8 bytes, as in
    `ast` and `code.co_positions`. `tensor` names the input, target or weight when the value was
    not computed but came in. `library` is the installed package that the line is of, where no line
    of the user's is known.
    """

    op: str
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None
    function: str | None
    layer: str | None
    samples: tuple[int, ...] | None
    operands: tuple[Operand, ...]
    tensor: str | None = None
    library: str | None = None


@dataclass(frozen=True)
class Spread:
    """How far the value got in this step. `loss` is the loss as a decimal string, or "nan"..."""

    loss: str
    num_gradients: int
    num_gradients_nonfinite: int
    first: tuple[str, ...]

    @property
    def is_loss_finite(self) -> bool:
        """Whether the loss is a finite number."""
        try:
            return math.isfinite(float(self.loss))
        except ValueError:  # no number, where the step ended before it had a loss
            return False
