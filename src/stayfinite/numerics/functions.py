"""What is known about functions: one row a function, named as `keras.ops` names it.

A row states where the function is defined, where its value or its derivative is infinite, how it
grows, and which operand decides. Rules and repairs read it from here. To add a function, add its
row, and how to compute it to `tests/numerics/examples.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the operators of arrays are enough, so that `repair` does not load NumPy
    import numpy as np


@dataclass(frozen=True)
class Interval:
    """Real numbers from `low` to `high`; the ends belong to it if `closed`."""

    low: float
    high: float = math.inf
    closed: bool = True

    def excludes(self, operand: np.ndarray, *others: np.ndarray) -> np.ndarray:
        """Mask of the elements outside."""
        mask: np.ndarray = (operand < self.low) | (operand > self.high)
        if not self.closed:
            mask = mask | (operand == self.low) | (operand == self.high)
        return mask


@dataclass(frozen=True)
class NoPositivePole:
    """All real numbers but 0 and the negative integers, as for the gamma function."""

    def excludes(self, operand: np.ndarray, *others: np.ndarray) -> np.ndarray:
        """Mask of the elements outside."""
        mask: np.ndarray = (operand <= 0) & (operand % 1 == 0)
        return mask


@dataclass(frozen=True)
class RealPower:
    """Negative numbers only where the exponent, the second operand, is an integer."""

    def excludes(self, operand: np.ndarray, *others: np.ndarray) -> np.ndarray:
        """Mask of the elements outside; of none where there is no exponent."""
        mask: np.ndarray = operand < 0
        return mask & (others[0] % 1 != 0 if others else False)


Domain = Interval | NoPositivePole | RealPower


class PoleKind(Enum):
    """What makes a value infinite at a pole."""

    DIVISION = auto()
    LOGARITHM = auto()


@dataclass(frozen=True)
class Pole:
    """The value of the critical operand at which the function is infinite."""

    at: float
    kind: PoleKind


@dataclass(frozen=True)
class SingularPoint:
    """Where the value is finite and the derivative is not.

    Args:
        points: The values of the critical operand.
        derivative: The derivative as Python, `{x}` for the critical operand and `{y}` for the
            other one.
        value: What the derivative gives there: infinite, or NaN.
        other: The values of the other operand for which this holds; all if None.
        joint: Whether the point is one of both operands.
    """

    points: tuple[float, ...]
    derivative: str
    value: float = math.inf
    other: Callable[[np.ndarray], np.ndarray] | None = None
    joint: bool = False

    def includes(self, operand: np.ndarray, *others: np.ndarray) -> np.ndarray:
        """Mask of the elements at a singular point."""
        mask: np.ndarray = operand == self.points[0]
        for point in self.points[1:]:
            mask = mask | (operand == point)
        if self.other is not None:
            mask = mask & (self.other(others[0]) if others else False)
        return mask


class Growth(Enum):
    """How the magnitude of the value grows with that of the operands."""

    LINEAR = auto()
    POLYNOMIAL = auto()  # large operands are needed to leave the range of a dtype
    STEEP = auto()  # an ordinary operand is enough


class Trait(Enum):
    """Further properties of a function, which rules read."""

    MOVES_ELEMENTS = auto()  # the elements of the result are those of the operand
    COMPARES = auto()
    LOGICAL = auto()  # truth values of truth values
    TESTS_FINITENESS = auto()
    CHOOSES = auto()  # discards elements: where, nan_to_num
    BOUNDED_AT_INFINITY = auto()  # may be finite where an operand is infinite
    EXTREME = auto()  # the largest or smallest element of a row, or of all
    GROUPS = auto()  # reduces the elements of each group, which an operand names
    SUMS = auto()
    ADDS_TO = auto()  # adds the last operand to the elements of the first that another names
    AVERAGES = auto()
    CONTRACTS = auto()  # sums products of two operands
    SOFTMAX = auto()  # divides exponentials by their sum, or takes the logarithm of that sum
    LOOP = auto()  # a loop as one op; nothing is known of the values inside


@dataclass(frozen=True)
class FunctionRow:
    """One function.

    Args:
        name: Its name in `keras.ops`, or a plain one where it is not there.
        aliases: Other spellings in the libraries.
        domain: Where it has a value; None for everywhere or not known.
        pole: Where its value is infinite.
        singular: Where only its derivative is infinite.
        growth: How it grows; None where it is bounded, or shrinks.
        inverse: The operand at which it has a value, for that value; for steep functions.
        critical: Position of the operand that `domain`, `pole` and `singular` are about.
        harmless: A value of the critical operand at which value and derivative are ordinary.
        approached: Values that it has by rounding only.
        traits: Further properties.
    """

    name: str
    aliases: tuple[str, ...] = ()
    domain: Domain | None = None
    pole: Pole | None = None
    singular: SingularPoint | None = None
    growth: Growth | None = None
    inverse: Callable[[float], float] | None = None
    critical: int = 0
    harmless: float | None = None
    approached: tuple[float, ...] = ()
    traits: frozenset[Trait] = frozenset()

    def has(self, trait: Trait) -> bool:
        """Whether the function has a trait."""
        return trait in self.traits

    @property
    def has_pole(self) -> bool:
        """Whether its value is infinite at a number, and so beyond the range next to it."""
        return self.pole is not None or isinstance(self.domain, NoPositivePole)

    @property
    def is_defined_below_0(self) -> bool:
        """Whether it has a value at every negative number."""
        return self.domain is None or (
            isinstance(self.domain, Interval) and self.domain.low == -math.inf
        )

    def ordered(self, operands: list[np.ndarray]) -> list[np.ndarray]:
        """The operands, the critical one first."""
        others = [o for position, o in enumerate(operands) if position != self.critical]
        return [operands[self.critical], *others]


def _at_division(at: float = 0.0) -> Pole:
    return Pole(at, PoleKind.DIVISION)


def _at_logarithm(at: float) -> Pole:
    return Pole(at, PoleKind.LOGARITHM)


def _having(trait: Trait, *names: str) -> tuple[FunctionRow, ...]:
    return tuple(FunctionRow(name, traits=frozenset({trait})) for name in names)


def _root(derivative: str) -> SingularPoint:
    return SingularPoint((0.0,), derivative)


def _log_of_twice(value: float) -> float:
    # The sum, as twice the largest number is past the range.
    return math.log(value) + math.log(2.0)


_ROOT_AT_1 = "1 / sqrt(1 - {x} ** 2)"
_BETWEEN = Interval(-1.0, 1.0)
_INSIDE = Interval(-1.0, 1.0, closed=False)
_BOUNDED = frozenset({Trait.BOUNDED_AT_INFINITY})
_SUM = frozenset({Trait.SUMS})
_AVERAGE = frozenset({Trait.AVERAGES})
_CONTRACTION = frozenset({Trait.SUMS, Trait.CONTRACTS})
_FINITENESS = frozenset({Trait.TESTS_FINITENESS, Trait.LOGICAL})

_ROWS: tuple[FunctionRow, ...] = (
    # Logarithms.
    FunctionRow("log", domain=Interval(0.0), pole=_at_logarithm(0.0), harmless=1.0),
    FunctionRow("log2", domain=Interval(0.0), pole=_at_logarithm(0.0), harmless=1.0),
    FunctionRow("log10", domain=Interval(0.0), pole=_at_logarithm(0.0), harmless=1.0),
    FunctionRow("log1p", domain=Interval(-1.0), pole=_at_logarithm(-1.0), harmless=0.0),
    FunctionRow("logit", domain=Interval(0.0, 1.0, closed=False), harmless=0.5),
    FunctionRow("xlogy", (), Interval(0.0), _at_logarithm(0.0), critical=1, harmless=1.0),
    FunctionRow(
        "entr",
        ("special_entr",),
        domain=Interval(0.0),
        singular=SingularPoint((0.0,), "-log({x}) - 1"),
        harmless=1.0,
    ),
    FunctionRow("xlog1py", (), Interval(-1.0), _at_logarithm(-1.0), critical=1, harmless=0.0),
    # Roots and powers.
    FunctionRow("sqrt", domain=Interval(0.0), singular=_root("1 / (2 * sqrt({x}))"), harmless=1.0),
    FunctionRow("cbrt", singular=_root("1 / (3 * cbrt({x}) ** 2)"), harmless=1.0),
    FunctionRow(
        "rsqrt",
        domain=Interval(0.0),
        pole=_at_division(),
        harmless=1.0,
        traits=_BOUNDED,
    ),
    FunctionRow(
        "power",
        ("pow", "integer_pow"),
        domain=RealPower(),
        pole=_at_division(),
        singular=SingularPoint(
            (0.0,), "{y} * {x} ** ({y} - 1)", other=lambda exponent: exponent < 1
        ),
        growth=Growth.STEEP,
        harmless=1.0,
    ),
    FunctionRow("square", growth=Growth.POLYNOMIAL, harmless=0.0),
    # Divisions.
    FunctionRow(
        "divide",
        ("div", "true_divide", "real_div"),
        pole=_at_division(),
        critical=1,
        harmless=1.0,
        traits=_BOUNDED,
    ),
    FunctionRow("floor_divide", ("floor_div",), pole=_at_division(), critical=1, harmless=1.0),
    FunctionRow("mod", ("rem", "fmod", "remainder"), pole=_at_division(), critical=1, harmless=1.0),
    FunctionRow("reciprocal", ("inv",), pole=_at_division(), harmless=1.0),
    FunctionRow("addcdiv", pole=_at_division(), critical=2, harmless=1.0),
    # Exponentials.
    FunctionRow(
        "exp",
        growth=Growth.STEEP,
        inverse=math.log,
        harmless=0.0,
        approached=(0.0,),
        traits=_BOUNDED,
    ),
    FunctionRow("exp2", growth=Growth.STEEP, inverse=math.log2, harmless=0.0, approached=(0.0,)),
    FunctionRow("expm1", growth=Growth.STEEP, inverse=math.log, harmless=0.0),
    FunctionRow("cosh", growth=Growth.STEEP, inverse=_log_of_twice, harmless=0.0),
    FunctionRow("sinh", growth=Growth.STEEP, inverse=_log_of_twice, harmless=0.0),
    FunctionRow("tan", growth=Growth.STEEP),
    FunctionRow("i0", ("bessel_i0", "special_i0"), growth=Growth.STEEP),
    FunctionRow("sigmoid", ("logistic",), approached=(0.0, 1.0), traits=_BOUNDED),
    FunctionRow("softplus", approached=(0.0,)),
    FunctionRow("tanh", approached=(-1.0, 1.0), traits=_BOUNDED),
    FunctionRow("erf", approached=(-1.0, 1.0)),
    FunctionRow("logsumexp", growth=Growth.LINEAR, traits=frozenset({Trait.SOFTMAX})),
    FunctionRow("cumlogsumexp", growth=Growth.LINEAR),
    FunctionRow("softmax", approached=(0.0, 1.0), traits=frozenset({Trait.SOFTMAX})),
    *_having(Trait.SOFTMAX, "log_softmax", "softmax_cross_entropy_with_logits"),
    # Inverse functions.
    FunctionRow(
        "arccos",
        ("acos",),
        _BETWEEN,
        None,
        SingularPoint((1.0, -1.0), f"-{_ROOT_AT_1}", -math.inf),
        harmless=0.0,
    ),
    FunctionRow(
        "arcsin", ("asin",), _BETWEEN, None, SingularPoint((1.0, -1.0), _ROOT_AT_1), harmless=0.0
    ),
    FunctionRow("arctanh", ("atanh",), _INSIDE, harmless=0.0),
    FunctionRow(
        "arccosh",
        ("acosh",),
        Interval(1.0),
        singular=SingularPoint((1.0,), "1 / sqrt({x} ** 2 - 1)"),
        harmless=2.0,
    ),
    FunctionRow(
        "arctan2",
        ("atan2",),
        singular=SingularPoint(
            (0.0,), "{x} / ({x} ** 2 + {y} ** 2)", math.nan, lambda y: y == 0, joint=True
        ),
        critical=1,
        harmless=1.0,
    ),
    FunctionRow("erfinv", ("erf_inv",), _INSIDE, harmless=0.0),
    FunctionRow("lgamma", (), NoPositivePole(), growth=Growth.POLYNOMIAL, harmless=1.0),
    FunctionRow("digamma", (), NoPositivePole(), harmless=1.0),
    # Sums and products.
    *(
        FunctionRow(name, aliases, growth=Growth.POLYNOMIAL)
        for name, aliases in (
            ("add", ("add_any", "add_v2")),
            ("multiply", ("mul",)),
            ("subtract", ("sub",)),
            ("cumsum", ()),
            ("norm", ("linalg_vector_norm",)),
        )
    ),
    FunctionRow("sum", ("reduce_sum",), growth=Growth.POLYNOMIAL, traits=_SUM),
    *(FunctionRow(name, traits=_SUM) for name in ("count_nonzero", "bincount")),
    FunctionRow("segment_sum", ("unsorted_segment_sum",), traits=_SUM),
    FunctionRow("mean", growth=Growth.POLYNOMIAL, traits=_AVERAGE | _SUM),
    FunctionRow("std", growth=Growth.POLYNOMIAL, traits=_AVERAGE),
    FunctionRow("var", growth=Growth.POLYNOMIAL, traits=_AVERAGE),
    *_having(Trait.AVERAGES, "median", "nanmean", "nll_loss", "std_mean", "var_mean"),
    *(
        FunctionRow(name, growth=Growth.POLYNOMIAL, traits=_CONTRACTION)
        for name in ("dot", "einsum", "matmul")
    ),
    FunctionRow("conv", growth=Growth.POLYNOMIAL, traits=frozenset({Trait.CONTRACTS})),
    *_having(Trait.EXTREME, "max", "min"),
    *_having(
        Trait.GROUPS,
        "index_reduce",
        "scatter-max",
        "scatter-min",
        "scatter_reduce",
        "segment_max",
        "segment_min",
        "segment_reduce",
    ),
    *_having(Trait.ADDS_TO, "index_add", "scatter_add", "scatter-add", "tensor_scatter_nd_add"),
    FunctionRow("prod", ("reduce_prod",), growth=Growth.STEEP),
    FunctionRow("cumprod", growth=Growth.STEEP),
    # Bounds and choices.
    FunctionRow("minimum", traits=_BOUNDED),
    FunctionRow("maximum", traits=_BOUNDED),
    FunctionRow("clip", ("clamp", "clip_by_value"), traits=_BOUNDED),
    *_having(Trait.CHOOSES, "where", "nan_to_num"),
    # Signs.
    FunctionRow("absolute", ("abs",)),
    FunctionRow("negative", ("neg",)),
    # Truth values.
    *(
        FunctionRow(name, aliases, traits=frozenset({Trait.COMPARES}))
        for name, aliases in (
            ("equal", ("eq",)),
            ("not_equal", ("ne",)),
            ("greater", ("gt",)),
            ("greater_equal", ("ge",)),
            ("less", ("lt",)),
            ("less_equal", ("le",)),
        )
    ),
    *(
        FunctionRow(name, aliases, traits=frozenset({Trait.LOGICAL}))
        for name, aliases in (
            ("logical_and", ("and",)),
            ("logical_not", ("not",)),
            ("logical_or", ("or",)),
        )
    ),
    *_having(Trait.LOGICAL, "bitwise_and", "bitwise_not", "bitwise_or"),
    *(
        FunctionRow(name, (spelled,), traits=_FINITENESS)
        for name, spelled in (
            ("isfinite", "is_finite"),
            ("isinf", "is_inf"),
            ("isnan", "is_nan"),
        )
    ),
    # Movements. A cast may leave the range of the narrower dtype.
    FunctionRow("cast", growth=Growth.LINEAR, traits=frozenset({Trait.MOVES_ELEMENTS})),
    *_having(
        Trait.MOVES_ELEMENTS,
        "broadcast_to",
        "concatenate",
        "copy",
        "optimization_barrier",
        "pad",
        "reshape",
        "slice",
        "squeeze",
        "stop_gradient",
        "transpose",
    ),
    *_having(Trait.LOOP, "scan", "while_loop"),
)

FUNCTIONS: dict[str, FunctionRow] = {row.name: row for row in _ROWS}
_CANONICAL = {alias: row.name for row in _ROWS for alias in row.aliases}


def canonical(name: str) -> str:
    """The name of a function in this table, for any of its spellings; others stay as they are."""
    return _CANONICAL.get(name, name)


def row(name: str) -> FunctionRow:
    """The row of a function by any of its spellings; an empty one where nothing is known."""
    known = canonical(name)
    return FUNCTIONS.get(known) or FunctionRow(known)


def having(*traits: Trait) -> frozenset[str]:
    """Names of the functions that have one of `traits`."""
    return frozenset(row.name for row in _ROWS if row.traits.intersection(traits))


STRUCTURAL = having(Trait.MOVES_ELEMENTS)
