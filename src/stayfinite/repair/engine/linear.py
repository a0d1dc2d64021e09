"""Sums of terms with constant coefficients, and the named functions that such sums are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import number
from stayfinite.repair.formula import Node, node


@dataclass(frozen=True)
class Linear:
    """`offset` plus the sum of coefficient times term."""

    terms: Mapping[Node, float] = field(default_factory=dict)
    offset: float = 0.0

    def plus(self, other: Linear, scale: float = 1.0) -> Linear:
        """The sum of this and `scale` times the other."""
        terms = dict(self.terms)
        for term, coefficient in other.terms.items():
            terms[term] = terms.get(term, 0.0) + scale * coefficient
        kept = {term: c for term, c in terms.items() if c != 0}
        return Linear(kept, self.offset + scale * other.offset)

    def times(self, scale: float) -> Linear:
        """All coefficients times `scale`."""
        return Linear().plus(self, scale)


def linear(x: Node) -> Linear:
    """`x` as a sum: additions, signs and constant factors taken apart."""
    value = number(x)
    if value is not None:
        return Linear({}, value)
    match x.op:
        case "negative":
            return linear(x.operands[0]).times(-1.0)
        case "add":
            return linear(x.operands[0]).plus(linear(x.operands[1]))
        case "subtract":
            return linear(x.operands[0]).plus(linear(x.operands[1]), -1.0)
        case "multiply":
            a, b = x.operands
            for factor, rest in ((a, b), (b, a)):
                scale = number(factor)
                if scale is not None:
                    return linear(rest).times(scale)
        case "divide":
            scale = number(x.operands[1])
            if scale:
                # A division stays a division in the source: x / 2 and not 0.5 * x.
                inner = linear(x.operands[0])
                if len(inner.terms) == 1 and not inner.offset:
                    ((term, coefficient),) = inner.terms.items()
                    if coefficient in (1.0, -1.0):
                        return Linear({node("divide", term, x.operands[1]): coefficient})
    return Linear({x: 1.0})


def assembled(total: Linear) -> Node:
    """The sum as a formula, with softplus, log-sigmoid and log-softmax put in where they fit."""
    total = _named(total)
    ordered = sorted(total.terms.items(), key=lambda item: item[1] < 0)
    found: Node | None = None
    for term, coefficient in ordered:
        part = _scaled(term, abs(coefficient))
        if found is None:
            found = part if coefficient > 0 else build.negative(part)
        else:
            found = build.add(found, part) if coefficient > 0 else build.subtract(found, part)
    if found is None:
        return build.real(total.offset)
    return build.add(found, build.real(total.offset)) if total.offset else found


def _scaled(term: Node, scale: float) -> Node:
    if scale != 1 and term.op == "divide" and number(term.operands[1]) == scale:
        return term.operands[0]
    if 0 < scale < 1 and (1 / scale).is_integer():
        return build.divide(term, build.real(1 / scale))
    return build.multiply(build.real(scale), term)


def _named(total: Linear) -> Linear:
    for term, coefficient in list(total.terms.items()):
        if term not in total.terms:
            continue
        inner = linear(term.operands[0]) if term.operands else Linear()
        if term.op == "softplus":
            # softplus(a) - a is softplus(-a): taken where it removes terms.
            other = total.plus(inner, -coefficient)
            if len(other.terms) < len(total.terms) or (
                len(other.terms) == len(total.terms) and abs(other.offset) < abs(total.offset)
            ):
                continue  # a is not in the sum with the opposite sign
            swapped = total.plus(Linear({term: 1.0}), -coefficient).plus(inner, coefficient)
            if len(swapped.terms) < len(total.terms):
                flipped = node("softplus", build.negative(term.operands[0]))
                total = swapped.plus(Linear({flipped: 1.0}), coefficient)
        elif term.op == "logaddexp":
            for first, second in (term.operands, term.operands[::-1]):
                # c (logaddexp(a, b) - a) is c softplus(b - a).
                swapped = total.plus(Linear({term: 1.0}), -coefficient).plus(
                    linear(first), coefficient
                )
                if len(swapped.terms) < len(total.terms):
                    gap = node("softplus", build.subtract(second, first))
                    total = swapped.plus(Linear({gap: 1.0}), coefficient)
                    break
        elif term.op == "logsumexp":
            # a - logsumexp(a) is log_softmax(a), for one axis.
            axis = term.attribute("axis")
            swapped = total.plus(Linear({term: 1.0}), -coefficient).plus(inner, coefficient)
            if isinstance(axis, tuple) and len(axis) == 1 and term.attribute("keepdims"):
                if len(swapped.terms) < len(total.terms):
                    whole = node("log_softmax", term.operands[0], axis=axis[0])
                    total = swapped.plus(Linear({whole: 1.0}), -coefficient)
    for term, coefficient in list(total.terms.items()):
        if term.op == "softplus" and coefficient < 0:
            named = node("log_sigmoid", build.negative(term.operands[0]))
            total = total.plus(Linear({term: 1.0}), -coefficient)
            total = total.plus(Linear({named: 1.0}), -coefficient)
    return total
