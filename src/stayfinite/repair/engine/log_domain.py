"""Rewrites products, ratios and logarithms by computing with logarithms, in one directed pass.

`log_of(e)` is a formula for log|e| that does not pass through e. `rewritten(e)` uses it for every
logarithm, and for products, quotients and powers with a wrong factor, which become the exponential
of a sum.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import number
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.linear import Linear, assembled, linear
from stayfinite.repair.engine.logarithms import Logarithms, Variant
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.formula import Node, node, walk

VARIANTS = (
    Variant(),
    Variant(wrong_only=True),
    Variant(bare=False),
    Variant(everywhere=True),
    Variant(everywhere=True, bare=False),
    Variant(one_hot=False),
    Variant(everywhere=True, one_hot=False),
    Variant(pairs=True),
    Variant(everywhere=True, pairs=True),
    Variant(trusting=True),
    Variant(everywhere=True, trusting=True),
    Variant(complement="log1p"),
    Variant(everywhere=True, complement="log1p"),
    Variant(complement="where"),
    Variant(everywhere=True, complement="where"),
)
EXPONENTIAL = frozenset({"exp", "sigmoid", "softmax", "expm1"})
MULTIPLICATIVE = frozenset("multiply divide power square sqrt rsqrt reciprocal prod".split())


def proposals(context: Context, root: Node) -> Iterator[tuple[Node, str, tuple[Assumption, ...]]]:
    """All variants of the pass on `root`, with the name of the rule and what is assumed."""
    for variant in VARIANTS:
        each = LogDomain(context, variant)
        found = each.rewritten(root)
        if found is not root:
            yield found, "log domain", tuple(dict.fromkeys(each.assumptions))


class LogDomain(Logarithms):
    """One variant of the pass."""

    def rewritten(self, root: Node) -> Node:
        """`root` with every suitable sub-formula computed by logarithms."""
        for x in walk(root):
            if x not in self.made:
                self.made[x] = self._rewrite(x)
        return self.made[root]

    def _enter(self, x: Node) -> bool:
        if self.variant.wrong_only:
            return self.context.bad(x)
        return self.variant.everywhere or self.context.bad_below(x)

    def _rewrite(self, x: Node) -> Node:
        plain = build.rebuilt(x, tuple(self.made[operand] for operand in x.operands))
        if not x.operands or not self._enter(x):
            return plain
        if x.op == "log":
            return assembled(self.log_of(x.operands[0]))
        if x.op in ("log2", "log10"):
            base = 2.0 if x.op == "log2" else 10.0
            return build.divide(assembled(self.log_of(x.operands[0])), build.real(math.log(base)))
        if x.op == "log1p":
            return self._log1p(x.operands[0], plain)
        if x.op in MULTIPLICATIVE and any(
            self.context.bad_below(o) or self.context.bad(x) for o in x.operands
        ):
            return self._product(x, plain)
        if x.op in ("add", "subtract"):
            return assembled(linear(plain)) if self._has_log(plain) else plain
        return plain

    def _has_log(self, x: Node) -> bool:
        names = ("softplus", "logsumexp", "logaddexp")
        return any(term.op in names for term in linear(x).terms)

    def _log1p(self, x: Node, plain: Node) -> Node:
        """log(1 + x), where x has a logarithm of its own."""
        if self.non_negative(x) and self.progress(x):
            return node("softplus", assembled(self.log_of(x)))
        if x.op == "negative" and self.progress(x.operands[0]):
            return assembled(self.complement(self.log_of(x.operands[0])))
        return plain

    def _product(self, x: Node, plain: Node) -> Node:
        """A product as `rest * exp(sum of logarithms)` of the factors that have one."""
        total, joined, outside = Linear(), [], []
        for factor, exponent in _factors(x):
            value = number(exponent)
            even = value is not None and value % 2 == 0
            known_sign = even or self.non_negative(factor)
            gains = value is None or abs(value) >= 3 or self.progress(factor)
            # A healthy factor joins only for its exponentials, which may cancel.
            concerned = self.context.bad_below(factor) or any(
                part.op in EXPONENTIAL for part in walk(factor)
            )
            concerned = concerned or value is None or abs(value) >= 3
            if (
                known_sign
                and gains
                and concerned
                and build.value(factor) is None
                and factor is not x
            ):
                log = self.log_of(factor)
                joined.append((factor.op, value))
                total = total.plus(
                    log.times(value)
                    if value is not None
                    else Linear({build.multiply(self.rewritten(exponent), assembled(log)): 1.0})
                )
            else:
                outside.append((factor, exponent))
        if not total.terms or joined == [("softplus", 1.0)]:
            return plain  # the exponential of the logarithm of a softplus is no better than it
        found = build.exp(assembled(total))
        for factor, exponent in outside:
            power = number(exponent)
            inner = self.rewritten(factor)
            if power is not None and power < 0:
                found = build.divide(found, build.power(inner, build.real(-power)))
            else:
                found = build.multiply(build.power(inner, self.rewritten(exponent)), found)
        return found


def _factors(x: Node) -> list[tuple[Node, Node]]:
    """The factors of a product with their exponents."""
    found: list[tuple[Node, Node]] = []

    def visit(part: Node, exponent: Node) -> None:
        scale = number(exponent)
        match part.op:
            case "multiply":
                visit(part.operands[0], exponent)
                visit(part.operands[1], exponent)
            case "divide" if scale is not None:
                visit(part.operands[0], exponent)
                visit(part.operands[1], build.real(-scale))
            case "reciprocal" if scale is not None:
                visit(part.operands[0], build.real(-scale))
            case "square" if scale is not None:
                visit(part.operands[0], build.real(2 * scale))
            case "sqrt" | "rsqrt" if scale is not None:
                visit(part.operands[0], build.real(scale * (0.5 if part.op == "sqrt" else -0.5)))
            case "power" if scale is not None:
                inner = number(part.operands[1])
                if inner is not None:
                    visit(part.operands[0], build.real(inner * scale))
                elif scale == 1 or scale == -1:
                    signed = part.operands[1] if scale == 1 else build.negative(part.operands[1])
                    found.append((part.operands[0], signed))
                else:
                    found.append((part, exponent))
            case _:
                found.append((part, exponent))

    visit(x, build.real(1.0))
    return found
