"""Laurent series of formulas in one variable; the coefficients are formulas in the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from stayfinite.repair.engine import build
from stayfinite.repair.engine.monomials import Polynomial, formula, polynomial
from stayfinite.repair.formula import Node, node, walk

ZERO, ONE = Polynomial(), Polynomial({(): Fraction(1)})
TERMS = 9  # coefficients that are carried; a few are lost to cancellation


class NoSeries(Exception):
    """The formula has no Laurent series that the rules here give."""


@dataclass(frozen=True)
class Series:
    """The sum of `coefficients[i] * d ** (order + i)`; the first coefficient is not 0."""

    order: int
    coefficients: tuple[Polynomial, ...]

    def at(self, power: int) -> Polynomial:
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

    @property
    def constant(self) -> bool:
        """No power of `d` but the first one, which is 0."""
        return self.order == 0 and all(c.is_zero for c in self.coefficients[1:])

    def taylor(self) -> list[Polynomial]:
        """Coefficients from power 0 on.

        Raises:
            NoSeries: there are negative powers.
        """
        if all(c.is_zero for c in self.coefficients):
            return [ZERO] * TERMS
        if self.order < 0:
            raise NoSeries
        return [ZERO] * self.order + list(self.coefficients)


class Expansion:
    """Expands formulas in `d`, with the variable equal to `point + d`.

    `is_zero` decides whether a coefficient vanishes whose terms do not cancel by themselves.
    `shape_of` gives the shape of a formula.
    """

    def __init__(
        self,
        variable: Node,
        point: Node,
        is_zero: Callable[[Node], bool],
        shape_of: Callable[[Node], tuple[int, ...]],
    ) -> None:
        self.is_zero = is_zero
        self.shape_of = shape_of
        self.variable = variable
        start = self._cut(0, [polynomial(point), ONE, *[ZERO] * (TERMS - 2)])
        self.known: dict[Node, Series] = {variable: start}

    def of(self, root: Node) -> Series:
        """The series of `root`.

        Raises:
            NoSeries: there is none, or no rule for it.
            ZeroDivisionError: it divides by what is 0 throughout.
        """
        depends: dict[Node, bool] = {}
        for x in walk(root):
            depends[x] = x in self.known or any(depends[operand] for operand in x.operands)
            if depends[x] and x not in self.known:
                self.known[x] = self._compute(x, [self._part(o, depends) for o in x.operands])
        return self._part(root, depends)

    def _part(self, x: Node, depends: dict[Node, bool]) -> Series:
        return self.known[x] if depends[x] else self._constant(polynomial(x))

    def _constant(self, value: Polynomial) -> Series:
        return Series(0, (value, *[ZERO] * (TERMS - 1)))

    def _cut(self, order: int, coefficients: list[Polynomial]) -> Series:
        while coefficients and self._vanishes(coefficients[0]):
            coefficients = coefficients[1:]
            order += 1
        return Series(order, tuple(coefficients)) if coefficients else self._constant(ZERO)

    def _vanishes(self, value: Polynomial) -> bool:
        if len(value.terms) < 2 and not any(e < 0 for p in value.terms for _, e in p):
            return value.is_zero
        return self.is_zero(formula(value))

    def _compute(self, x: Node, s: list[Series]) -> Series:
        one = self._constant(ONE)
        match x.op:
            case "add":
                return self.add(s[0], s[1])
            case "subtract":
                return self.add(s[0], self.scaled(s[1], -1))
            case "negative":
                return self.scaled(s[0], -1)
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
                return self.add(self.exp(s[0]), self.scaled(one, -1))
            case "log":
                return self.log(s[0])
            case "log1p":
                return self.log(self.add(s[0], one))
            case "sqrt":
                return self.power(s[0], Fraction(1, 2))
            case "power":
                return self._general_power(x, s)
            case "sin" | "cos":
                return self._trigonometric(x.op, s[0])
            case "tan":
                cosine = self._trigonometric("cos", s[0])
                return self.multiply(self._trigonometric("sin", s[0]), self.reciprocal(cosine))
            case "sinh" | "cosh":
                sign = -1 if x.op == "sinh" else 1
                up, down = self.exp(s[0]), self.exp(self.scaled(s[0], -1))
                return self.scaled(self.add(up, self.scaled(down, sign)), Fraction(1, 2))
            case "tanh":
                grown = self.exp(self.scaled(s[0], 2))
                above = self.add(grown, self.scaled(one, -1))
                return self.multiply(above, self.reciprocal(self.add(grown, one)))
            case "sigmoid":
                return self.reciprocal(self.add(one, self.exp(self.scaled(s[0], -1))))
            case "softplus":
                return self.log(self.add(one, self.exp(s[0])))
            case "log_sigmoid":
                return self.scaled(self.log(self.add(one, self.exp(self.scaled(s[0], -1)))), -1)
            case "arctan" | "arctanh":
                sign = 1 if x.op == "arctan" else -1
                slope = self.add(one, self.scaled(self.multiply(s[0], s[0]), sign))
                return self._integral(x.op, s[0], self.reciprocal(slope))
            case "arcsin" | "arcsinh":
                sign = 1 if x.op == "arcsinh" else -1
                inside = self.add(one, self.scaled(self.multiply(s[0], s[0]), sign))
                return self._integral(x.op, s[0], self.power(inside, Fraction(-1, 2)))
            case "erf":
                bell = self.exp(self.scaled(self.multiply(s[0], s[0]), -1))
                scale = Fraction(2 / math.sqrt(math.pi))
                return self._integral(x.op, s[0], self.scaled(bell, scale))
            case "abs":
                return self._size(s[0])
            case "sum" | "mean":
                return self._reduced(x, s[0])
            case "stop_gradient":
                return s[0]
        raise NoSeries

    def scaled(self, s: Series, factor: Fraction | int) -> Series:
        """The series times a number."""
        return Series(s.order, tuple(c.scaled(Fraction(factor)) for c in s.coefficients))

    def add(self, a: Series, b: Series) -> Series:
        """The sum, as far as the shorter of the two reaches."""
        order = min(a.order, b.order)
        end = min(a.order + len(a.coefficients), b.order + len(b.coefficients))
        return self._cut(order, [a.at(i).plus(b.at(i)) for i in range(order, end)])

    def multiply(self, a: Series, b: Series) -> Series:
        """The product."""
        count = min(len(a.coefficients), len(b.coefficients))
        found = [
            _total(a.coefficients[j].times(b.coefficients[i - j]) for j in range(i + 1))
            for i in range(count)
        ]
        return self._cut(a.order + b.order, found)

    def reciprocal(self, s: Series) -> Series:
        """1 / s."""
        first = s.coefficients[0].inverse()
        found = [first]
        for i in range(1, len(s.coefficients)):
            rest = _total(s.coefficients[j].times(found[i - j]) for j in range(1, i + 1))
            found.append(rest.times(first).scaled(Fraction(-1)))
        return Series(-s.order, tuple(found))

    def exp(self, s: Series) -> Series:
        """exp(s), by its differential equation."""
        inner = s.taylor()
        found = [polynomial(build.exp(formula(inner[0])))]
        for i in range(1, len(inner)):
            found.append(
                _total(inner[j].times(found[i - j]).scaled(Fraction(j, i)) for j in range(1, i + 1))
            )
        return Series(0, tuple(found))

    def log(self, s: Series) -> Series:
        """log(s), where s does not vanish at the point."""
        if s.order != 0:
            raise NoSeries
        first = s.coefficients[0].inverse()
        inner = [c.times(first) for c in s.coefficients]
        head = formula(s.coefficients[0])
        is_one = self.is_zero(build.subtract(head, build.real(1.0)))
        found = [ZERO if is_one else polynomial(build.log(head))]
        for i in range(1, len(inner)):
            rest = _total(found[j].times(inner[i - j]).scaled(Fraction(-j, i)) for j in range(1, i))
            found.append(inner[i].plus(rest))
        return self._cut(0, found)

    def _size(self, s: Series) -> Series:
        """|s|, where s is a number that is not 0 at the point."""
        first = build.value(formula(s.coefficients[0]))
        if s.order != 0 or not first:
            raise NoSeries
        return s if first > 0 else self.scaled(s, -1)

    def _reduced(self, x: Node, s: Series) -> Series:
        """The sum or mean of the coefficients, where the variable is one number."""
        if self.shape_of(self.variable):
            raise NoSeries
        operand = x.operands[0]
        attributes = dict(x.attributes)
        shape = self.shape_of(operand)
        found = []
        for each in s.coefficients:
            part = formula(each)
            if self.shape_of(part) != shape:
                part = node("broadcast_to", part, shape=shape)
            found.append(ZERO if each.is_zero else polynomial(node(x.op, part, **attributes)))
        return self._cut(s.order, found)

    def power(self, s: Series, exponent: Fraction) -> Series:
        """s ** exponent for a number."""
        if exponent.denominator == 1 and abs(exponent) <= 12:
            found = self._constant(ONE)
            for _ in range(abs(int(exponent))):
                found = self.multiply(found, s)
            return found if exponent >= 0 else self.reciprocal(found)
        return self.exp(self.scaled(self.log(s), exponent))

    def _general_power(self, x: Node, s: list[Series]) -> Series:
        value = build.value(x.operands[1])
        if value is not None:
            return self.power(s[0], Fraction(value).limit_denominator(10**9))
        return self.exp(self.multiply(s[1], self.log(s[0])))

    def _trigonometric(self, op: str, s: Series) -> Series:
        inner = s.taylor()
        sine, cosine = [_folded("sin", inner[0])], [_folded("cos", inner[0])]
        for i in range(1, len(inner)):
            slopes = [inner[j].scaled(Fraction(j, i)) for j in range(1, i + 1)]
            sine.append(_total(d.times(cosine[i - j]) for j, d in enumerate(slopes, 1)))
            falling = _total(d.times(sine[i - j]) for j, d in enumerate(slopes, 1))
            cosine.append(falling.scaled(Fraction(-1)))
        return self._cut(0, sine if op == "sin" else cosine)

    def _integral(self, op: str, s: Series, slope: Series) -> Series:
        """f(s) from the series of f'(s)."""
        inner, outer = s.taylor(), slope.taylor()
        found = [_folded(op, inner[0])]
        for i in range(1, min(len(inner), len(outer))):
            found.append(
                _total(inner[j].times(outer[i - j]).scaled(Fraction(j, i)) for j in range(1, i + 1))
            )
        return self._cut(0, found)


def _total(parts: Iterable[Polynomial]) -> Polynomial:
    found = ZERO
    for part in parts:
        found = found.plus(part)
    return found


def _folded(op: str, x: Polynomial) -> Polynomial:
    if x.is_zero:
        return ONE if op == "cos" else ZERO
    return polynomial(node(op, formula(x)))
