"""Sums of products of powers: coefficients of a series, added and multiplied without growing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import number, real
from stayfinite.repair.formula import Node

# Formulas with their exponents, in the order in which they were first met.
Powers = tuple[tuple[Node, Fraction], ...]


@dataclass(frozen=True)
class Polynomial:
    """The sum of coefficient times product of powers."""

    terms: Mapping[Powers, Fraction] = field(default_factory=dict)

    @property
    def is_zero(self) -> bool:
        """No term is left."""
        return not self.terms

    @property
    def single(self) -> tuple[Powers, Fraction] | None:
        """The only term, or None."""
        return next(iter(self.terms.items())) if len(self.terms) == 1 else None

    def plus(self, other: Polynomial) -> Polynomial:
        """The sum."""
        terms = dict(self.terms)
        for powers, c in other.terms.items():
            terms[powers] = terms.get(powers, Fraction(0)) + c
        return Polynomial({powers: c for powers, c in terms.items() if c})

    def times(self, other: Polynomial) -> Polynomial:
        """The product."""
        found = Polynomial()
        for a, c in self.terms.items():
            for b, d in other.terms.items():
                found = found.plus(Polynomial({_joined(a, b): c * d}))
        return found

    def scaled(self, factor: Fraction) -> Polynomial:
        """The polynomial times a number."""
        return Polynomial({powers: c * factor for powers, c in self.terms.items() if c * factor})

    def inverse(self) -> Polynomial:
        """1 / polynomial; a sum is inverted as one formula.

        Raises:
            ZeroDivisionError: it is 0.
        """
        if self.is_zero:
            raise ZeroDivisionError
        single = self.single
        if single is not None:
            powers, c = single
            return Polynomial({tuple((x, -e) for x, e in powers): 1 / c})
        return Polynomial({((formula(self), Fraction(-1)),): Fraction(1)})


def polynomial(x: Node) -> Polynomial:
    """`x` taken apart into products and sums."""
    value = number(x)
    if value is not None:
        return Polynomial({(): Fraction(value).limit_denominator(10**12)} if value else {})
    parts = [polynomial(operand) for operand in x.operands] if x.op in _ARITHMETIC else []
    match x.op:
        case "add":
            return parts[0].plus(parts[1])
        case "subtract":
            return parts[0].plus(parts[1].scaled(Fraction(-1)))
        case "negative":
            return parts[0].scaled(Fraction(-1))
        case "multiply":
            return parts[0].times(parts[1])
        case "square":
            return parts[0].times(parts[0])
        case "divide":
            return parts[0].times(parts[1].inverse())
    return Polynomial({((x, Fraction(1)),): Fraction(1)})


def formula(p: Polynomial) -> Node:
    """The polynomial as a formula."""
    total: Node | None = None
    for powers, c in sorted(p.terms.items(), key=lambda item: item[1] < 0):
        part = _product(powers, abs(c))
        if total is None:
            total = part if c > 0 else build.negative(part)
        else:
            total = build.add(total, part) if c > 0 else build.subtract(total, part)
    return real(0.0) if total is None else total


_ARITHMETIC = frozenset({"add", "subtract", "negative", "multiply", "square", "divide"})


def _product(powers: Powers, c: Fraction) -> Node:
    above = [build.power(x, real(float(e))) for x, e in powers if e > 0]
    below = [build.power(x, real(float(-e))) for x, e in powers if e < 0]
    if c.denominator < 10**6:
        top, bottom = float(c.numerator), float(c.denominator)
    else:
        top, bottom = float(c), 1.0
    found = real(top)
    for x in above:
        found = build.multiply(found, x)
    divisor = real(bottom)
    for x in below:
        divisor = build.multiply(divisor, x)
    return build.divide(found, divisor)


def _joined(a: Powers, b: Powers) -> Powers:
    exponents = dict(a)
    for x, e in b:
        exponents[x] = exponents.get(x, Fraction(0)) + e
    kept = [(x, e) for x, e in exponents.items() if e]
    return tuple(sorted(kept, key=lambda item: id(item[0])))
