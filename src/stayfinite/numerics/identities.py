"""Identities between formulas, as data.

Each is written in Python's syntax: single letters stand for any formula, other names are operations
of `keras.ops`. Reductions (`sum`, `mean`, `logsumexp`) of one identity share their axis; `softmax`
and `log_softmax` are over it too, `mean_kept` and `logsumexp_kept` keep it with length 1.

Conditions hold where an identity is not true, or not useful, for all operands:

- `a >= 0`, `a > 0`: the formula bound to `a` must be proved to be so.
- `extreme`: tried only where an operand is so large or small that powers of it leave float32.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """`left` equals `right` wherever `left` has a value; both ways if `mutual`."""

    left: str
    right: str
    conditions: tuple[str, ...] = ()
    mutual: bool = False

    def __str__(self) -> str:
        return f"{self.left} {'<=>' if self.mutual else '=>'} {self.right}"


def _table(text: str) -> tuple[Identity, ...]:
    rows = []
    for line in text.strip().splitlines():
        body, _, conditions = line.partition(" if ")
        mutual = "<=>" in body
        left, right = body.split("<=>" if mutual else "=>")
        wanted = tuple(part.strip() for part in conditions.split(" and ") if part.strip())
        rows.append(Identity(left.strip(), right.strip(), wanted, mutual))
    return tuple(rows)


BOOKKEEPING = _table("""
a + b => b + a
a * b => b * a
(a + b) + c <=> a + (b + c)
(a * b) * c <=> a * (b * c)
a - b <=> a + -b
(a + b) - b => a
(a - b) + b => a
a - (a - b) => b
(a + c) - (b + c) => a - b
-(a - b) => b - a
-(-a) => a
-(a * b) <=> (-a) * b
a * a <=> square(a)
a ** 2 => square(a)
a ** 3 => a * square(a)
a ** 4 <=> square(square(a))
a / b => a * (1 / b) if extreme
(a / b) / c <=> a / (b * c)
a / (b / c) => a * c / b
(a * b) / c <=> a * (b / c)
(a * b) / (c * d) => (a / c) * (b / d)
(a / b) * (c / d) => (a * c) / (b * d)
a / c + b / c <=> (a + b) / c
a / c - b / c <=> (a - b) / c
a * c + b * c <=> (a + b) * c
a * c - b * c <=> (a - b) * c
square(-a) => square(a)
square(a) * square(b) <=> square(a * b)
square(a) / square(b) <=> square(a / b)
a / a => 1
a * b / a => b
a * b / b => a
a - a => 0
1 / (1 / a) => a
1 / (a / b) => b / a
a / (a + b) => 1 / (1 + b / a) if extreme
a / (b + a) => 1 / (1 + b / a) if extreme
abs(a) => a if a >= 0
""")

LOGARITHMS = _table("""
log(exp(a)) => a
exp(log(a)) => a if a >= 0
log(a * b) => log(a) + log(b) if a > 0 and b > 0
log(a / b) => log(a) - log(b) if a > 0 and b > 0
log(a) - log(b) => log(a / b) if a > 0 and b > 0
log(a ** b) => b * log(a) if a > 0
log(sqrt(a)) => log(a) / 2 if a > 0
log(square(a)) => 2 * log(abs(a))
log(1 / a) => -log(a) if a > 0
log(sum(exp(a))) => logsumexp(a)
log(exp(a) + exp(b)) => logaddexp(a, b)
log(1 + exp(a)) => softplus(a)
log1p(exp(a)) => softplus(a)
logaddexp(0, a) => softplus(a)
logaddexp(a, b) - b => softplus(a - b)
a - logaddexp(a, b) => log_sigmoid(a - b)
a - logaddexp(b, a) => log_sigmoid(a - b)
a - softplus(a) => log_sigmoid(a)
-softplus(a) => log_sigmoid(-a)
softplus(a) - a => softplus(-a)
-log_sigmoid(a) => softplus(-a)
log(sigmoid(a)) => log_sigmoid(a)
log(1 - sigmoid(a)) => log_sigmoid(-a)
log1p(-sigmoid(a)) => log_sigmoid(-a)
a - logsumexp_kept(a) => log_softmax(a)
log(softmax(a)) => log_softmax(a)
xlogy(a, exp(b)) => a * b
xlogy(a, sigmoid(b)) => a * log_sigmoid(b)
xlogy(a, softmax(b)) => a * log_softmax(b)
log(cosh(a)) => abs(a) + softplus(-2 * abs(a)) - 0.6931471805599453
log(gamma(a)) => lgamma(a) if a > 0
i1(a) / i0(a) => i1e(a) / i0e(a)
""")

EXPONENTIALS = _table("""
exp(log_sigmoid(a)) => sigmoid(a)
exp(log_softmax(a)) => softmax(a)
exp(a) * exp(b) <=> exp(a + b)
exp(a) / exp(b) => exp(a - b)
1 / exp(a) <=> exp(-a)
exp(a) ** b => exp(a * b)
exp(a) / sum_kept(exp(a)) => softmax(a)
square(exp(a)) <=> exp(2 * a)
sqrt(exp(a)) => exp(a / 2)
exp(b * log(a)) => a ** b if a > 0
a ** b => exp(b * log(a)) if a > 0 and extreme
a ** b / c ** b => (a / c) ** b if a > 0 and c > 0
a ** b * c ** b => (a * c) ** b if a > 0 and c > 0
a ** b * a ** c <=> a ** (b + c) if a > 0
a ** b / a ** c => a ** (b - c) if a > 0
(a ** b) ** c => a ** (b * c) if a > 0
a / b => exp(log(a) - log(b)) if a > 0 and b > 0 and extreme
a * b => exp(log(a) + log(b)) if a > 0 and b > 0 and extreme
sqrt(a) * sqrt(b) <=> sqrt(a * b) if a >= 0 and b >= 0
sqrt(a) / sqrt(b) <=> sqrt(a / b) if a >= 0 and b > 0
sqrt(square(a)) => abs(a)
square(sqrt(a)) => a
""")

SIGMOIDS = _table("""
1 - sigmoid(a) <=> sigmoid(-a)
1 / (1 + exp(a)) => sigmoid(-a)
1 / (exp(a) + 1) => sigmoid(-a)
exp(a) / (1 + exp(a)) => sigmoid(a)
exp(a) / (exp(a) + 1) => sigmoid(a)
exp(a) / (exp(a) + exp(b)) => sigmoid(a - b)
exp(a) / (exp(b) + exp(a)) => sigmoid(a - b)
a / (1 + exp(b)) => a * sigmoid(-b)
a / (exp(b) + 1) => a * sigmoid(-b)
(exp(a) - exp(-a)) / (exp(a) + exp(-a)) => tanh(a)
(exp(a) - 1) / (exp(a) + 1) => tanh(a / 2)
(1 - exp(a)) / (1 + exp(a)) => -tanh(a / 2)
2 * sigmoid(2 * a) - 1 => tanh(a)
1 - tanh(a) => 2 * sigmoid(-2 * a)
1 + tanh(a) => 2 * sigmoid(2 * a)
1 - square(tanh(a)) => 4 * sigmoid(2 * a) * sigmoid(-2 * a)
log(sigmoid(a) / (1 - sigmoid(a))) => a
log(sigmoid(a)) - log(1 - sigmoid(a)) => a
log_sigmoid(a) - log_sigmoid(-a) => a
arctanh(tanh(a)) => a
""")

NEAR_ONE = _table("""
exp(a) - 1 <=> expm1(a)
1 - exp(a) => -expm1(a)
exp(a) - exp(b) => exp(b) * expm1(a - b)
exp(a) - exp(b) => -exp(a) * expm1(b - a)
a ** b - 1 => expm1(b * log(a)) if a > 0
1 - a ** b => -expm1(b * log(a)) if a > 0
log(1 + a) => log1p(a)
log(a + 1) => log1p(a)
log(1 - a) => log1p(-a)
expm1(log1p(a)) => a
log1p(expm1(a)) => a
log(exp(a) - 1) => a + log(-expm1(-a)) if a >= 0
log(expm1(a)) => a + log(-expm1(-a)) if a >= 0
1 / expm1(a) => exp(-a) / -expm1(-a)
a / expm1(b) => a * exp(-b) / -expm1(-b) if extreme
1 - erf(a) => erfc(a)
1 + erf(a) => erfc(-a)
log(erfc(a)) => log_ndtr(-1.4142135623730951 * a) + 0.6931471805599453
1 - cos(a) => 2 * square(sin(a / 2))
1 - square(cos(a)) => square(sin(a))
log(a) - log(b) => log1p((a - b) / b) if a > 0 and b > 0
log(a / b) => log1p((a - b) / b) if a > 0 and b > 0
log(a + sqrt(square(a) + 1)) => arcsinh(a)
log(a + sqrt(square(a) - 1)) => arccosh(a)
arccosh(1 + a) => 2 * arcsinh(sqrt(a / 2)) if a >= 0
arccosh(a + 1) => 2 * arcsinh(sqrt(a / 2)) if a >= 0
log((1 + a) / (1 - a)) => 2 * arctanh(a)
log(1 + a) - log(1 - a) => 2 * arctanh(a)
sinh(a) / sinh(b) => exp(a - b) * (expm1(-2 * a) / expm1(-2 * b))
""")

CANCELLATION = _table("""
sqrt(a) - sqrt(b) => (a - b) / (sqrt(a) + sqrt(b))
sqrt(square(a) + b) - a => b / (sqrt(square(a) + b) + a)
sqrt(b + square(a)) - a => b / (sqrt(b + square(a)) + a)
a - sqrt(square(a) - b) => b / (a + sqrt(square(a) - b))
a - sqrt(square(a) + b) => -b / (a + sqrt(square(a) + b))
square(a) - square(b) <=> (a - b) * (a + b)
1 - square(a) <=> (1 - a) * (1 + a)
square(a) - 1 <=> (a - 1) * (a + 1)
square(a) - 2 * a * b + square(b) => square(a - b)
square(a) + square(b) - 2 * (a * b) => square(a - b)
1 / a - 1 / b => (b - a) / (a * b)
a / b - c / b => (a - c) / b
mean(square(a)) - square(mean(a)) => mean(square(a - mean_kept(a)))
mean(a * b) - mean(a) * mean(b) => mean((a - mean_kept(a)) * (b - mean_kept(b)))
sum(square(a)) + sum(square(b)) - 2 * sum(a * b) => sum(square(a - b))
sum(square(a)) - 2 * sum(a * b) + sum(square(b)) => sum(square(a - b))
arccos(a) => 2 * arcsin(sqrt((1 - a) / 2))
""")

IDENTITIES: tuple[Identity, ...] = (
    *BOOKKEEPING,
    *LOGARITHMS,
    *EXPONENTIALS,
    *SIGMOIDS,
    *NEAR_ONE,
    *CANCELLATION,
)
