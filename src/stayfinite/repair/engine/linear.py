"""Sums of terms with constant coefficients, and the named functions that such sums are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import number
from stayfinite.repair.formula import LeafRole, Node, node


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
                if build.value(factor) is not None:
                    return _times_named(factor, linear(rest))
        case "divide":
            scale = build.value(x.operands[1])
            if scale:
                # A division stays a division in the source: x / 2 and not 0.5 * x.
                inner = linear(x.operands[0])
                if len(inner.terms) == 1 and not inner.offset:
                    ((term, coefficient),) = inner.terms.items()
                    if coefficient in (1.0, -1.0):
                        return Linear({node("divide", term, x.operands[1]): coefficient})
    return Linear({x: 1.0})


def _times_named(factor: Node, total: Linear) -> Linear:
    """The sum times a number that has a name, which stays as it is in each term."""
    terms = {build.multiply(factor, term): c for term, c in total.terms.items()}
    if total.offset:
        terms[build.multiply(factor, build.real(total.offset))] = 1.0
    return Linear(terms)


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
    if 0 < scale < 0.5 and (1 / scale).is_integer():
        return build.divide(term, build.real(1 / scale))
    return build.multiply(build.real(scale), term)


def _named(total: Linear) -> Linear:
    for term, coefficient in list(total.terms.items()):
        if term in total.terms:
            for rest, named in _alternatives(total, term, coefficient):
                # Taken where it removes another term of the sum.
                if len(rest.terms) <= len(total.terms) - 2:
                    total = rest.plus(named)
                    break
    for term, coefficient in list(total.terms.items()):
        if term.op == "softplus" and coefficient < 0:
            flipped = node("log_sigmoid", build.negative(term.operands[0]))
            total = total.plus(Linear({term: 1.0}), -coefficient)
            total = total.plus(Linear({flipped: 1.0}), -coefficient)
    return total


def _alternatives(total: Linear, term: Node, coefficient: float) -> Iterator[tuple[Linear, Linear]]:
    """The sum without `term` and what joins it, and the function that takes their place."""
    rest = total.plus(Linear({term: 1.0}), -coefficient)
    match term.op:
        case "softplus":
            # softplus(a) - a is softplus(-a).
            a = term.operands[0]
            flipped = node("softplus", build.negative(a))
            yield rest.plus(linear(a), coefficient), Linear({flipped: coefficient})
        case "logaddexp":
            # logaddexp(a, b) - a is softplus(b - a).
            for first, second in (term.operands, term.operands[::-1]):
                gap = node("softplus", build.subtract(second, first))
                yield rest.plus(linear(first), coefficient), Linear({gap: coefficient})
        case "logsumexp":
            # a - logsumexp(a) is log_softmax(a), for one axis.
            axis = term.attribute("axis")
            if not isinstance(axis, tuple) or len(axis) != 1:
                return
            a = term.operands[0]
            whole = node("log_softmax", a, axis=axis[0])
            if term.attribute("keepdims"):
                yield rest.plus(linear(a), coefficient), Linear({whole: -coefficient})
                return
            for other, factor in rest.terms.items():
                picked = _picked(other, a, factor / -coefficient, whole)
                if picked is not None:
                    yield (
                        rest.plus(Linear({other: 1.0}), -factor),
                        Linear({picked: -coefficient}),
                    )


def _picked(x: Node, source: Node, factor: float, whole: Node) -> Node | None:
    """The same elements of `whole` if `factor * x` picks elements of `source`."""
    if x.op in build.REARRANGES:
        inner, rest = x.operands[0], x.operands[1:]
        if linear(source).terms == Linear({inner: factor}).terms:
            return node(x.op, whole, *rest, **dict(x.attributes))
        below = _picked(inner, source, factor, whole)
        return None if below is None else node(x.op, below, *rest, **dict(x.attributes))
    named = x.op == "multiply" and build.value(x.operands[0]) is not None
    if named or (x.op == "divide" and build.value(x.operands[1])):
        picks = x.operands[1 if named else 0]
        if picks.op in build.REARRANGES:
            wide = build.rebuilt(
                x,
                (x.operands[0], picks.operands[0]) if named else (picks.operands[0], x.operands[1]),
            )
            moved = node(picks.op, wide, *picks.operands[1:], **dict(picks.attributes))
            return _picked(moved, source, factor, whole)
    if x.op == "sum" and x.operands[0].op == "multiply":
        for mask, other in (x.operands[0].operands, x.operands[0].operands[::-1]):
            if mask.op != "leaf" or mask.attribute("role") is not LeafRole.MASK:
                continue
            if linear(source).terms == linear(other).times(factor).terms:
                return node("sum", build.multiply(mask, whole), **dict(x.attributes))
    return None
