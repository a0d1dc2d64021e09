"""What an edit by a template does, as data; its words are in `report/wording/edits.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class BoundedPart(Enum):
    """What a bound is put around."""

    ARGUMENT = auto()
    BASE = auto()
    DIVISOR = auto()
    OPERAND_OF_ACTIVATION = auto()
    PREDICTIONS = auto()


@dataclass(frozen=True)
class BoundAdded:
    """An operand is kept above `low`, below `high`, or between both, as the file has them.

    `of` is the operation by the name that the user has for it.
    """

    part: BoundedPart
    of: str | None = None
    low: str | None = None
    high: str | None = None


class WidePart(Enum):
    """What is computed in float32."""

    OPERATION = auto()
    STATEMENT = auto()
    STATEMENT_WITHOUT_AUTOCAST = auto()
    FUNCTION = auto()
    LOSS = auto()
    LAYER = auto()


@dataclass(frozen=True)
class ComputedInFloat32:
    """A part of the program in float32; `layer` is the class of a layer."""

    part: WidePart
    layer: str | None = None


class NewForm(Enum):
    """What is written in the place of an operation. `of` and `number` are of `FormWritten`."""

    ONE_AS_DIVISOR = auto()  # where it is 0
    ONE_AS_BASE = auto()  # of `of`, where it is 0
    SIZE_AND_SIGN = auto()  # of the base of `of`
    LOGARITHMS = auto()  # in the place of the product `of`
    ROOT_ABOVE_ZERO = auto()  # in the place of `of`
    LENGTH_ABOVE_ZERO = auto()  # as the divisor in `of`
    POINT_WITH_ANGLE = auto()  # for the operands of `of`
    FINITE_OPERAND = auto()  # of `of`
    FINITE_MASK = auto()  # with `number`
    EARLIER_NAN_TO_NUM = auto()  # before `of`
    HARMLESS_OPERAND = auto()  # `number` for `of`, where `where` discards its result
    SHIFTED_MATRIX = auto()  # by `number` on its diagonal
    DIVISOR_AT_LEAST_ONE = auto()
    SUM_OVER_AT_LEAST_ONE = auto()
    NUMBER_OF_ELEMENTS = auto()  # as the divisor, not one less
    ZERO_WHERE_EMPTY = auto()  # what `of` gives; None if it has no name
    NUMBER_OF_FLOAT16 = auto()  # in the place of `number`
    NO_CAST = auto()  # to half precision
    SOFTPLUS = auto()  # as the activation of a layer of the class `of`


@dataclass(frozen=True)
class FormWritten:
    """Another form of an operation, of a number or of a layer, as text of the file."""

    form: NewForm
    of: str | None = None
    number: str | None = None


EditFact = BoundAdded | ComputedInFloat32 | FormWritten


@dataclass(frozen=True)
class TemplateFact:
    """What an edit does, at one place or at several of a function; None is the module."""

    fact: EditFact
    num_places: int = 1
    function: str | None = None
