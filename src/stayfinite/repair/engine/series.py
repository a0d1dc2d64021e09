"""Laurent series of formulas in one variable; the coefficients are formulas in the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import number, real
from stayfinite.repair.formula import Node, node, walk

ZERO, ONE = real(0.0), real(1.0)
TERMS = 9  # coefficients that are carried; a few are lost to cancellation


class NoSeries(Exception):
    """The formula has no Laurent series that the rules here give."""


@dataclass(frozen=True)
class Series:
    """The sum of `coefficients[i] * d ** (order + i)`; the first coefficient is not 0."""

    order: int
    coefficients: tuple[Node, ...]

    def at(self, power: int) -> Node:
        """The coefficient of `d ** power`.

        Raises:
            NoSeries: it was cut off.
        """
        position = power - self.order
        if position < 0:
            return ZERO
        if position >= len(self.coefficients):
            raise NoSeries
        return self.coefficients[position]


class Expansion:
    """Expands formulas in `d`, with the variable equal to `point + d`.

    `is_zero` decides whether a coefficient vanishes.
    """

    def __init__(self, variable: Node, point: Node, is_zero: Callable[[Node], bool]) -> None:
        self.variable = variable
        self.point = point
        self.is_zero = is_zero
        self.known: dict[Node, Series] = {}

    def of(self, root: Node) -> Series:
        """The series of `root`.

        Raises:
            NoSeries: there is none, or no rule for it.
        """
        depends: dict[Node, bool] = {}
        for x in walk(root):
            depends[x] = x is self.variable or any(depends[operand] for operand in x.operands)
            if x in self.known:
                continue
            if x is self.variable:
                self.known[x] = self._trimmed(0, [self.point, ONE])
            elif not depends[x]:
                self.known[x] = self._trimmed(0, [x])
            else:
                self.known[x] = self._compute(x, [self.known[o] for o in x.operands])
        return self.known[root]

    def _trimmed(self, order: int, coefficients: list[Node]) -> Series:
        padded = [*coefficients, *[ZERO] * TERMS][:TERMS]
        while padded and (number(padded[0]) == 0 or self.is_zero(padded[0])):
            padded.pop(0)
            order += 1
        if not padded:
            return Series(0, tuple([ZERO] * TERMS))
        return Series(order, tuple(padded))

    def _cut(self, order: int, coefficients: list[Node]) -> Series:
        while coefficients and (number(coefficients[0]) == 0 or self.is_zero(coefficients[0])):
            coefficients = coefficients[1:]
            order += 1
        if not coefficients:
            return Series(0, tuple([ZERO] * TERMS))
        return Series(order, tuple(coefficients))

    def _compute(self, x: Node, s: list[Series]) -> Series:
        match x.op:
            case "add":
                return self.add(s[0], s[1])
            case "subtract":
                return self.add(s[0], self.scaled(s[1], real(-1.0)))
            case "negative":
                return self.scaled(s[0], real(-1.0))
            case "multiply":
                return self.multiply(s[0], s[1])
            case "square":
                return self.multiply(s[0], s[0])
            case "divide":
                return self.multiply(s[0], self.reciprocal(s[1]))
            case "reciprocal":
                return self.reciprocal(s[0])
            case "exp":
                return self.exp(s[0])
            case "expm1":
                return self.add(self.exp(s[0]), self._trimmed(0, [real(-1.0)]))
            case "log":
                return self.log(s[0])
            case "log1p":
                return self.log(self.add(s[0], self._trimmed(0, [ONE])))
            case "sqrt":
                return self.power(s[0], real(0.5))
            case "power":
                return self._general_power(x, s)
            case "sin" | "cos":
                return self._trigonometric(x.op, s[0])
            case "tan":
                cosine = self._trigonometric("cos", s[0])
                return self.multiply(self._trigonometric("sin", s[0]), self.reciprocal(cosine))
            case "sinh" | "cosh":
                sign = real(-0.5 if x.op == "sinh" else 0.5)
                up, down = self.exp(s[0]), self.exp(self.scaled(s[0], real(-1.0)))
                return self.add(self.scaled(up, real(0.5)), self.scaled(down, sign))
            case "tanh":
                return self._tanh(s[0])
            case "sigmoid":
                grown = self.exp(self.scaled(s[0], real(-1.0)))
                return self.reciprocal(self.add(self._trimmed(0, [ONE]), grown))
            case "softplus":
                return self.log(self.add(self._trimmed(0, [ONE]), self.exp(s[0])))
            case "arctan" | "arctanh":
                sign = ONE if x.op == "arctan" else real(-1.0)
                slope = self.add(self._trimmed(0, [ONE]), self.scaled(self.multiply(s[0], s[0]), sign))
                return self._integral(x, s[0], self.reciprocal(slope))
            case "arcsin":
                inside = self.scaled(self.multiply(s[0], s[0]), real(-1.0))
                slope = self.power(self.add(self._trimmed(0, [ONE]), inside), real(-0.5))
                return self._integral(x, s[0], slope)
            case "stop_gradient":
                return s[0]
        raise NoSeries

    def scaled(self, s: Series, factor: Node) -> Series:
        """The series times a formula without the variable."""
        return Series(s.order, tuple(build.multiply(factor, c) if number(c) != 0 else ZERO for c in s.coefficients))

    def add(self, a: Series, b: Series) -> Series:
        """The sum; as long as the shorter of the two reaches."""
        order = min(a.order, b.order)
        end = min(a.order + len(a.coefficients), b.order + len(b.coefficients))
        found = [_sum(a.at(i), b.at(i)) for i in range(order, end)]
        return self._cut(order, found)

    def multiply(self, a: Series, b: Series) -> Series:
        """The product."""
        count = min(len(a.coefficients), len(b.coefficients))
        found = []
        for i in range(count):
            total = ZERO
            for j in range(i + 1):
                total = _sum(total, _product(a.coefficients[j], b.coefficients[i - j]))
            found.append(total)
        return self._cut(a.order + b.order, found)

    def reciprocal(self, s: Series) -> Series:
        """1 / s."""
        if all(number(c) == 0 for c in s.coefficients):
            raise NoSeries
        first = s.coefficients[0]
        found = [build.divide(ONE, first)]
        for i in range(1, len(s.coefficients)):
            total = ZERO
            for j in range(1, i + 1):
                total = _sum(total, _product(s.coefficients[j], found[i - j]))
            found.append(ZERO if number(total) == 0 else build.negative(build.divide(total, first)))
        return Series(-s.order, tuple(found))

    def exp(self, s: Series) -> Series:
        """exp(s), by its differential equation."""
        inner = _taylor(s)
        found = [build.exp(inner[0])]
        for i in range(1, len(inner)):
            total = ZERO
            for j in range(1, i + 1):
                total = _sum(total, _product(real(j / i), _product(inner[j], found[i - j])))
            found.append(total)
        return Series(0, tuple(found))

    def log(self, s: Series) -> Series:
        """log(s), where s does not vanish at the point."""
        if s.order != 0 or all(number(c) == 0 for c in s.coefficients):
            raise NoSeries
        first = s.coefficients[0]
        inner = [build.divide(c, first) if number(c) != 0 else ZERO for c in s.coefficients]
        found = [build.log(first)]
        for i in range(1, len(inner)):
            total = inner[i]
            for j in range(1, i):
                part = _product(real(-j / i), _product(found[j], inner[i - j]))
                total = _sum(total, part)
            found.append(total)
        return self._cut(0, found)

    def power(self, s: Series, exponent: Node) -> Series:
        """s ** exponent with an exponent without the variable."""
        value = number(exponent)
        if value is not None and value == int(value) and 0 <= value <= 12:
            found = self._trimmed(0, [ONE])
            for _ in range(int(value)):
                found = self.multiply(found, s)
            return found
        if value is not None and value == int(value) and value < 0:
            return self.reciprocal(self.power(s, real(-value)))
        exponent_series = self._trimmed(0, [exponent])
        return self.exp(self.multiply(exponent_series, self.log(s)))

    def _general_power(self, x: Node, s: list[Series]) -> Series:
        if s[1].order == 0 and all(number(c) == 0 for c in s[1].coefficients[1:]):
            return self.power(s[0], s[1].coefficients[0])
        return self.exp(self.multiply(s[1], self.log(s[0])))

    def _trigonometric(self, op: str, s: Series) -> Series:
        inner = _taylor(s)
        sine, cosine = [_folded("sin", inner[0])], [_folded("cos", inner[0])]
        for i in range(1, len(inner)):
            up = down = ZERO
            for j in range(1, i + 1):
                slope = _product(real(j / i), inner[j])
                up = _sum(up, _product(slope, cosine[i - j]))
                down = _sum(down, _product(slope, sine[i - j]))
            sine.append(up)
            cosine.append(build.negative(down) if number(down) != 0 else ZERO)
        return self._cut(0, sine if op == "sin" else cosine)

    def _tanh(self, s: Series) -> Series:
        grown = self.exp(self.scaled(s, real(2.0)))
        minus, plus = self._trimmed(0, [real(-1.0)]), self._trimmed(0, [ONE])
        return self.multiply(self.add(grown, minus), self.reciprocal(self.add(grown, plus)))

    def _integral(self, x: Node, s: Series, slope: Series) -> Series:
        """f(s) from the series of f'(s)."""
        inner, outer = _taylor(s), _taylor(slope)
        found = [_folded(x.op, inner[0])]
        for i in range(1, min(len(inner), len(outer))):
            total = ZERO
            for j in range(1, i + 1):
                total = _sum(total, _product(real(j / i), _product(inner[j], outer[i - j])))
            found.append(total)
        return self._cut(0, found)


def _taylor(s: Series) -> list[Node]:
    """Coefficients from power 0 on."""
    if all(number(c) == 0 for c in s.coefficients):
        return [ZERO] * TERMS
    if s.order < 0:
        raise NoSeries
    return [ZERO] * s.order + list(s.coefficients)


def _sum(a: Node, b: Node) -> Node:
    if a.op == "negative" and a.operands[0] is b or b.op == "negative" and b.operands[0] is a:
        return ZERO
    return build.add(a, b)


def _product(a: Node, b: Node) -> Node:
    if number(a) == 0 or number(b) == 0:
        return ZERO
    return build.multiply(a, b)


def _folded(op: str, x: Node) -> Node:
    if number(x) == 0:
        return ONE if op == "cos" else ZERO
    return node(op, x)
