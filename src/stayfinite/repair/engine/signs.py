"""Signs and ranges of formulas, proved by their structure and never read from samples.

Three recorded values that happen to be positive prove nothing about the fourth. Besides structure
(an exponential is positive), the domain counts: where `log(x)` is written, x is not negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from stayfinite.numerics.exact_functions import COMPARISONS
from stayfinite.repair.engine import build
from stayfinite.repair.formula import LeafRole, Node, walk


@dataclass(frozen=True)
class Range:
    """All values lie between `low` and `high`; `positive` if 0 is excluded from below."""

    low: float = -math.inf
    high: float = math.inf
    positive: bool = False


ANY, NON_NEGATIVE, POSITIVE = Range(), Range(0.0), Range(0.0, positive=True)
UNIT = Range(0.0, 1.0, positive=True)
FIXED: dict[str, Range] = {
    "exp2": POSITIVE,
    "sigmoid": UNIT,
    "softmax": UNIT,
    "softplus": POSITIVE,
    "square": NON_NEGATIVE,
    "abs": NON_NEGATIVE,
    "sqrt": NON_NEGATIVE,
    "rsqrt": POSITIVE,
    "norm": NON_NEGATIVE,
    "var": NON_NEGATIVE,
    "std": NON_NEGATIVE,
    "hypot": NON_NEGATIVE,
    "relu": NON_NEGATIVE,
    "cosh": Range(1.0, positive=True),
    "tanh": Range(-1.0, 1.0),
    "erf": Range(-1.0, 1.0),
    "erfc": Range(0.0, 2.0, positive=True),
    "sin": Range(-1.0, 1.0),
    "cos": Range(-1.0, 1.0),
    "log_sigmoid": Range(high=0.0),
    "log_softmax": Range(high=0.0),
    "log_ndtr": Range(high=0.0),
    "i0": Range(1.0, positive=True),
    "i0e": UNIT,
    "ones_like": Range(1.0, 1.0, positive=True),
    "zeros_like": Range(0.0, 0.0),
    "arccos": Range(0.0, math.pi),
    **dict.fromkeys(COMPARISONS, Range(0.0, 1.0)),
}
# The range of the result is that of the operand.
SAME = frozenset((*build.MOVES_FIRST, "cast", "max", "mean", "min"))
DOMAIN = {"log": True, "log2": True, "log10": True, "sqrt": False, "rsqrt": True, "lgamma": True}


class Signs:
    """Ranges of the sub-formulas of `root` and of what is rewritten from them.

    The leaves `assumed` count as positive.
    """

    def __init__(self, root: Node, assumed: frozenset[Node] = frozenset()) -> None:
        self.known: dict[Node, Range] = dict.fromkeys(assumed, POSITIVE)
        self.domain = _domain(root)

    def positive(self, x: Node) -> bool:
        """Proved to be above 0."""
        return self.range(x).positive

    def non_negative(self, x: Node) -> bool:
        """Proved not to be below 0."""
        return self.range(x).low >= 0

    def range(self, x: Node) -> Range:
        """The proved range of `x`."""
        if x not in self.known:
            for part in walk(x):
                if part not in self.known:
                    found = self._range(part)
                    bound = self.domain.get(part)
                    if bound is not None:
                        low = max(found.low, 0.0)
                        found = Range(low, found.high, found.positive or bound)
                    self.known[part] = found
        return self.known[x]

    def _range(self, x: Node) -> Range:
        value = build.value(x)
        if value is not None:
            return Range(value, value, value > 0)
        if x.op == "leaf":
            return Range(0.0, 1.0) if x.attribute("role") is LeafRole.MASK else ANY
        if x.op in FIXED:
            return FIXED[x.op]
        parts = [self.known[operand] for operand in x.operands]
        if x.op in SAME:
            return parts[0]
        match x.op:
            case "negative":
                return Range(-parts[0].high, -parts[0].low, parts[0].high < 0)
            case "add":
                a, b = parts
                positive = (a.positive and b.low >= 0) or (b.positive and a.low >= 0)
                return Range(a.low + b.low, a.high + b.high, positive or a.low + b.low > 0)
            case "subtract":
                a, b = parts
                return Range(a.low - b.high, a.high - b.low, a.low - b.high > 0)
            case "multiply":
                return self._product(x, *parts)
            case "divide":
                a, b = parts
                if b.low < 0:
                    return ANY
                if a.high <= 0:
                    return Range(high=0.0)
                return Range(0.0, positive=a.positive) if a.low >= 0 else ANY
            case "reciprocal":
                return Range(0.0, positive=True) if parts[0].low >= 0 else ANY
            case "power":
                return self._power(x, parts[0])
            case "maximum":
                a, b = parts
                low, high = max(a.low, b.low), max(a.high, b.high)
                return Range(low, high, a.positive or b.positive)
            case "minimum":
                a, b = parts
                low, high = min(a.low, b.low), min(a.high, b.high)
                return Range(low, high, a.positive and b.positive)
            case "clip":
                low, high = max(parts[0].low, parts[1].low), min(parts[0].high, parts[2].high)
                return Range(low, high, low > 0)
            case "where" | "stack" | "concatenate":
                used = parts[1:] if x.op == "where" else parts
                low = min(part.low for part in used)
                high = max(part.high for part in used)
                return Range(low, high, all(part.positive for part in used))
            case "sum" | "cumsum":
                part = parts[0]
                low, high = (
                    (0.0 if part.low >= 0 else -math.inf),
                    (0.0 if part.high <= 0 else math.inf),
                )
                return Range(low, high, part.positive)
            case "prod" | "cumprod":
                part = parts[0]
                high = 1.0 if part.low >= 0 and part.high <= 1 else math.inf
                return Range(0.0, high, part.positive) if part.low >= 0 else ANY
            case "exp":
                high = parts[0].high
                return Range(0.0, math.exp(high) if high < 700 else math.inf, positive=True)
            case "log":
                part = parts[0]
                low = math.log(part.low) if part.low > 0 else -math.inf
                high = math.log(part.high) if 0 < part.high < math.inf else math.inf
                return Range(low, high, part.low > 1)
            case "expm1" | "log1p" | "arctan" | "sinh" | "arcsinh":
                part = parts[0]
                return Range(0.0, positive=part.positive) if part.low >= 0 else ANY
        return ANY

    def _product(self, x: Node, a: Range, b: Range) -> Range:
        if x.operands[0] is x.operands[1]:
            return NON_NEGATIVE
        corners = [_times(p, q) for p in (a.low, a.high) for q in (b.low, b.high)]
        positive = (a.positive and b.positive) or (a.high < 0 and b.high < 0)
        return Range(min(corners), max(corners), positive)

    def _power(self, x: Node, base: Range) -> Range:
        exponent = build.value(x.operands[1])
        if base.low >= 0:
            small = base.high <= 1 and exponent is not None and exponent >= 0
            return Range(0.0, 1.0 if small else math.inf, base.positive)
        return NON_NEGATIVE if exponent is not None and exponent % 2 == 0 else ANY


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _domain(root: Node) -> dict[Node, bool]:
    """Operands of log, sqrt and fractional powers that every element meets; True excludes 0.

    What stands in a branch of `where` may be outside its domain in the other branch, unless both
    ask for the same.
    """
    known: dict[Node, dict[Node, bool]] = {}
    for x in walk(root):
        if x.op == "where":
            condition, first, second = (known[operand] for operand in x.operands)
            both = {part: first[part] and second[part] for part in first.keys() & second.keys()}
            known[x] = _joined(condition, both)
            continue
        found: dict[Node, bool] = {}
        for operand in x.operands:
            found = _joined(found, known[operand])
        strict = DOMAIN.get(x.op) if x.operands else None
        if x.op == "power":
            exponent = build.value(x.operands[1])
            strict = False if exponent is None or exponent != round(exponent) else None
        if strict is not None:
            found = _joined(found, {x.operands[0]: strict})
        if x.op == "arccosh" and x.operands[0].op == "add":
            rest = [part for part in x.operands[0].operands if build.value(part) != 1]
            if len(rest) == 1:
                found = _joined(found, {rest[0]: False})
        known[x] = found
    return known[root]


def _joined(one: dict[Node, bool], other: dict[Node, bool]) -> dict[Node, bool]:
    """What either asks for."""
    if not one or not other:
        return one or other
    return {part: one.get(part, False) or other.get(part, False) for part in (*one, *other)}
