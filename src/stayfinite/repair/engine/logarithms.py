"""The logarithm of a formula, without passing through the formula."""

from __future__ import annotations

import abc
import functools
import math
from dataclasses import dataclass

import numpy as np

from stayfinite.numerics.exact_functions import COMPARISONS
from stayfinite.repair.engine import build, log_forms
from stayfinite.repair.engine.build import number
from stayfinite.repair.engine.context import Context
from stayfinite.repair.engine.linear import Linear, assembled, linear
from stayfinite.repair.engine.log_operands import MOVES, Domain
from stayfinite.repair.engine.problem import Assumption
from stayfinite.repair.formula import Node, node


@dataclass(frozen=True)
class Variant:
    """How the pass decides where more than one form is right.

    `everywhere` enters healthy sub-formulas too, `wrong_only` none whose value is right; `pairs`
    writes a sum of two as a softplus of the difference; `complement` is the form of
    log(1 - exp(x)).
    """

    everywhere: bool = False
    wrong_only: bool = False
    pairs: bool = False
    complement: str = "expm1"
    one_hot: bool = True
    trusting: bool = False  # leaves recorded as positive count as such; stated as assumptions
    bare: bool = True  # log(x) where log(|x|) is what is proved; the probes decide


# Operations that it enters at all operands, of which one has to have a logarithm of its own.
JOINS = frozenset({"stack", "concatenate"})


class Logarithms(abc.ABC):
    """`log_of`: a formula for log|x|, as a sum of terms.

    The operands of what it makes are rewritten by the subclass.
    """

    def __init__(self, context: Context, variant: Variant) -> None:
        self.context = context
        self.signs = context.signs
        self.variant = variant
        self.domain = Domain(context, variant.trusting)
        self.made: dict[Node, Node] = {}
        self._logs: dict[Node, Linear] = {}

    @property
    def assumptions(self) -> list[Assumption]:
        """What has to hold for what was made so far to be right."""
        return self.domain.assumptions

    def non_negative(self, x: Node) -> bool:
        """Whether `x` is not below 0, by a proof or by an assumption that is kept."""
        return self.domain.non_negative(x)

    @abc.abstractmethod
    def rewritten(self, root: Node) -> Node:
        """`root` with every suitable sub-formula computed by logarithms."""

    def progress(self, x: Node) -> bool:
        """Whether the logarithm of `x` is more than the function log of it."""
        found = self.log_of(x)
        rest = [t for t in found.terms if t.op != "log"]
        return bool(rest) or x.op == "constant" or len(found.terms) != 1

    def log_of(self, x: Node) -> Linear:
        """log|x| without passing through x."""
        if x not in self._logs:
            self._logs[x] = self._log_of(x)
        return self._logs[x]

    def _plain(self, x: Node) -> Linear:
        inner = self.made.get(x)
        if inner is None:
            inner = self.rewritten(x)
        if not self.variant.bare and not self.non_negative(x):
            inner = build.absolute(inner)
        found = build.log(inner)
        return linear(found) if found.op != "log" else Linear({found: 1.0})

    def _log_of(self, x: Node) -> Linear:
        known = build.value(x)
        if known is not None:
            if number(x) is None and known > 0:
                return Linear({build.log(x): 1.0})
            return Linear({}, math.log(abs(known))) if known else self._plain(x)
        a = x.operands[0] if x.operands else x
        match x.op:
            case "ones_like":
                return Linear({})
            case "exp":
                return linear(self.rewritten(a))
            case "exp2":
                return linear(self.rewritten(a)).times(math.log(2))
            case "multiply":
                masked = self._masked(*x.operands) or self._masked(*x.operands[::-1])
                return masked or self.log_of(a).plus(self.log_of(x.operands[1]))
            case "divide":
                return self.log_of(a).plus(self.log_of(x.operands[1]), -1.0)
            case "reciprocal":
                return self.log_of(a).times(-1.0)
            case "negative" | "abs":
                return self.log_of(a)
            case "square":
                return self._log_size(a).times(2.0)
            case "sqrt":
                return self.log_of(a).times(0.5)
            case "rsqrt":
                return self.log_of(a).times(-0.5)
            case "power":
                return self._log_power(a, x.operands[1])
            case "sigmoid":
                return Linear({node("log_sigmoid", self.rewritten(a)): 1.0})
            case "softmax":
                return Linear({node("log_softmax", self.rewritten(a), **dict(x.attributes)): 1.0})
            case "i0" | "i1" if self.context.has(f"{x.op}e"):
                inner = self.rewritten(a)
                size = inner if self.signs.non_negative(a) else build.absolute(inner)
                return Linear({size: 1.0, node("log", node(f"{x.op}e", inner)): 1.0})
            case "softplus" if self.context.problem.dtype != "float16":
                return Linear({log_forms.log_softplus(self.rewritten(a)): 1.0})
            case "log_sigmoid" if self.context.problem.dtype != "float16":
                inner = build.negative(self.rewritten(a))
                return Linear({log_forms.log_softplus(inner): 1.0})
            case "gamma":
                return Linear({node("lgamma", self.rewritten(a)): 1.0})
            case "cosh":
                return log_forms.log_cosh(self.rewritten(a))
            case "prod" | "sum" | "mean":
                return self._log_reduction(x)
            case "cumprod" if self.non_negative(a):
                inner = assembled(self.log_of(a))
                return Linear({node("cumsum", inner, **dict(x.attributes)): 1.0})
            case "cumsum":
                if self.non_negative(a) and self.progress(a):
                    inner = assembled(self.log_of(a))
                    return Linear({node("logcumsumexp", inner, **dict(x.attributes)): 1.0})
            case "add":
                return self._log_sum(x)
            case "subtract":
                return self._log_difference(x)
            case "erfc":
                if self.context.has("log_ndtr"):
                    scaled = build.multiply(build.real(-math.sqrt(2)), self.rewritten(a))
                    return Linear({node("log_ndtr", scaled): 1.0}, math.log(2))
            case "expm1":
                if self.non_negative(a):
                    inner = self.rewritten(a)
                    return linear(inner).plus(
                        log_forms.complement(build.negative(inner), self.variant.complement)
                    )
        inwards = range(len(x.operands)) if x.op in JOINS else MOVES.get(x.op, ())
        entered = [x.operands[i] for i in inwards]
        gains = any if x.op in JOINS else all
        if (
            entered
            and gains(self.progress(operand) for operand in entered)
            and all(self.non_negative(operand) for operand in entered)
        ):
            operands = [
                assembled(self.log_of(operand)) if i in inwards else self.rewritten(operand)
                for i, operand in enumerate(x.operands)
            ]
            return Linear({build.rebuilt(x, tuple(operands)): 1.0})
        return self._plain(x)

    def _masked(self, mask: Node, x: Node) -> Linear | None:
        """log(mask * x) for a condition as a number: minus infinity where it does not hold."""
        condition = mask.operands[0] if mask.op == "cast" else mask
        masks = self.domain.masks(condition)
        if masks is None or (masks and not self.variant.trusting) or not self.progress(x):
            return None
        self.domain.assumptions += [Assumption(each, "0 or 1") for each in masks]
        holds = self.rewritten(condition)
        if condition.op not in COMPARISONS:
            holds = node("greater", holds, build.real(0.0))
        inner = assembled(self.log_of(x))
        return Linear({node("where", holds, inner, build.real(-math.inf)): 1.0})

    def _log_size(self, x: Node) -> Linear:
        """log|x| where x may well be negative: under an even power."""
        if self.progress(x) or self.non_negative(x):
            return self.log_of(x)
        return Linear({build.log(build.absolute(self.rewritten(x))): 1.0})

    def _log_power(self, base: Node, exponent: Node) -> Linear:
        value = number(exponent)
        if value is not None:
            even = value % 2 == 0
            return (self._log_size(base) if even else self.log_of(base)).times(value)
        inner = assembled(self.log_of(base))
        return Linear({build.multiply(self.rewritten(exponent), inner): 1.0})

    def _log_reduction(self, x: Node) -> Linear:
        a, attributes = x.operands[0], dict(x.attributes)
        if x.op == "prod":
            inner = self.log_of(a)
            return Linear({node("sum", assembled(inner), **attributes): 1.0})
        chosen = self._chosen(x)
        if chosen is not None:
            return chosen
        if not self.non_negative(a) or not self.progress(a):
            return self._plain(x)
        inner_log = self.log_of(a)
        common, inner_log = self._outside(inner_log)
        found = Linear({node("logsumexp", assembled(inner_log), **attributes): 1.0}).plus(common)
        return found.plus(self._log_count(x, assembled(inner_log))) if x.op == "mean" else found

    def _log_count(self, mean: Node, inner: Node) -> Linear:
        """Minus the logarithm of the number of elements of each mean over the shape of `inner`.

        A mean over the batch counts them in the formula: the last batch of an epoch may be smaller.
        """
        a, attributes = mean.operands[0], dict(mean.attributes)
        axes = attributes["axis"]
        if isinstance(axes, tuple) and 0 in axes and self.context.has("ones_like"):
            full = inner if self.context.shape(inner) == self.context.shape(a) else a
            return Linear({build.log(node("sum", node("ones_like", full), **attributes)): -1.0})
        count = math.prod(self.context.shape(a)) / max(math.prod(self.context.shape(mean)), 1)
        return Linear({}, -math.log(count))

    def _outside(self, inner: Linear) -> tuple[Linear, Linear]:
        """Constant offsets go in front of a logsumexp."""
        return Linear({}, inner.offset), Linear(inner.terms, 0.0)

    def _chosen(self, x: Node) -> Linear | None:
        """log of `sum(one_hot * a)` as `sum(one_hot * log a)`."""
        a = x.operands[0]
        if not self.variant.one_hot or x.op != "sum" or a.op != "multiply":
            return None
        factors = _factors(a)
        for position, mask in enumerate(factors):
            other = functools.reduce(build.multiply, factors[:position] + factors[position + 1 :])
            is_one_hot = self.domain.is_one_hot(mask, other, x.attribute("axis"))
            if is_one_hot and self.progress(other):
                if not self.non_negative(other):
                    continue
                self.domain.assumptions.append(Assumption(mask, "one-hot"))
                picked = build.multiply(self.rewritten(mask), assembled(self.log_of(other)))
                return Linear({node("sum", picked, **dict(x.attributes)): 1.0})
        return None

    def _log_sum(self, x: Node) -> Linear:
        a, b = x.operands
        for one, other in ((a, b), (b, a)):
            if number(one) == 1 and other.op in ("tanh", "erf"):
                return self._one_plus(other, 1.0)
        if not (self.non_negative(a) and self.non_negative(b)):
            return self._plain(x)
        if not any(map(self._gains, (a, b))):
            return self._plain(x)
        first, second = self.log_of(a), self.log_of(b)
        if not first.terms and not first.offset:
            return Linear({node("softplus", assembled(second)): 1.0})
        if not second.terms and not second.offset:
            return Linear({node("softplus", assembled(first)): 1.0})
        if self.variant.pairs:
            gap = assembled(second.plus(first, -1.0))
            return first.plus(Linear({node("softplus", gap): 1.0}))
        return Linear({node("logaddexp", assembled(first), assembled(second)): 1.0})

    def _gains(self, x: Node) -> bool:
        """Whether the logarithm of a term keeps more digits, as that of a term rounded to 0."""
        known = build.value(x)
        if known is None:
            return self.progress(x)
        return self.context.problem.dtype == "float16" and not np.float16(known)

    def _one_plus(self, x: Node, sign: float) -> Linear:
        inner = self.rewritten(x.operands[0])
        return log_forms.one_plus(x.op, inner, sign, self.context.has("log_ndtr"))

    def complement(self, exponent: Linear) -> Linear:
        """log(1 - exp(exponent))."""
        return log_forms.complement(assembled(exponent), self.variant.complement)

    def _log_difference(self, x: Node) -> Linear:
        a, b = x.operands
        if number(a) == 1:
            if b.op in ("tanh", "erf"):
                return self._one_plus(b, -1.0)
            squared = b.op == "square" or (b.op == "power" and number(b.operands[1]) == 2)
            if squared and b.operands[0].op == "tanh":
                return log_forms.one_minus_square_of_tanh(self.rewritten(b.operands[0].operands[0]))
        if number(b) == 1 and a.op == "exp" and self.non_negative(a.operands[0]):
            return self.log_of(node("expm1", a.operands[0]))
        if not (self.non_negative(a) and self.non_negative(b)):
            return self._plain(x)
        if not any(map(self._gains, (a, b))):
            return self._plain(x)
        first, second = self.log_of(a), self.log_of(b)
        return first.plus(self.complement(second.plus(first, -1.0)))


def _factors(x: Node) -> list[Node]:
    """The operands of a product of several factors."""
    return [f for o in x.operands for f in _factors(o)] if x.op == "multiply" else [x]
