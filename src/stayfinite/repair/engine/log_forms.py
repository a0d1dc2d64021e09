"""Formulas for the logarithms of 1 plus or minus a function, of cosh and of softplus."""

from __future__ import annotations

import math

from stayfinite.repair.engine import build
from stayfinite.repair.engine.build import number
from stayfinite.repair.engine.linear import Linear
from stayfinite.repair.formula import Node, node

# Below, softplus(x) is exp(x) up to half of its square, which float64 rounds away.
_TAIL = build.real(-40.0)


def log_softplus(x: Node) -> Node:
    """log(softplus(x)), which is x where softplus(x) is exp(x)."""
    body = build.log(node("softplus", node("maximum", x, _TAIL)))
    return node("where", node("less", x, _TAIL), x, body)


def log_cosh(x: Node) -> Linear:
    """log(cosh(x))."""
    size = build.absolute(x)
    tail = node("softplus", build.multiply(build.real(-2.0), size))
    return Linear({size: 1.0, tail: 1.0}, -math.log(2))


def one_minus_square_of_tanh(x: Node) -> Linear:
    """log(1 - tanh(x) ** 2)."""
    inner = build.multiply(build.real(2.0), x)
    pair = {node("log_sigmoid", inner): 1.0, node("log_sigmoid", build.negative(inner)): 1.0}
    return Linear(pair, math.log(4))


def one_plus(op: str, x: Node, sign: float, has_log_ndtr: bool) -> Linear:
    """log(1 + op(x)) for `sign` 1, log(1 - op(x)) for -1; `op` is tanh or erf."""
    if op == "tanh":
        doubled = build.multiply(build.real(2.0 * sign), x)
        return Linear({node("log_sigmoid", doubled): 1.0}, math.log(2))
    if has_log_ndtr:
        scaled = build.multiply(build.real(sign * math.sqrt(2)), x)
        if x.op == "divide" and number(x.operands[1]) is not None:
            scaled = build.multiply(
                build.real(sign), _unscaled(x.operands[0], float(number(x.operands[1]) or 1))
            )
        return Linear({node("log_ndtr", scaled): 1.0}, math.log(2))
    inner = build.multiply(build.real(-sign), x)
    return Linear({node("log", node("erfc", inner)): 1.0})


def complement(x: Node, form: str) -> Linear:
    """log(1 - exp(x)) in one of its forms: by "expm1", by "log1p", or by "where" of both."""
    if x.op in ("log_sigmoid", "log_ndtr"):
        return Linear({node(x.op, build.negative(x.operands[0])): 1.0})
    small = build.log(build.negative(node("expm1", x)))
    large = node("log1p", build.negative(build.exp(x)))
    if form == "expm1":
        return Linear({small: 1.0})
    if form == "log1p":
        return Linear({large: 1.0})
    near = node("greater", x, build.real(-math.log(2)))
    one = build.real(-1.0)
    inside = build.log(build.negative(node("expm1", node("where", near, x, one))))
    outside = node("log1p", build.negative(build.exp(node("where", near, one, x))))
    return Linear({node("where", near, inside, outside): 1.0})


def _unscaled(x: Node, divisor: float) -> Node:
    """sqrt(2) * x / divisor."""
    scale = math.sqrt(2) / divisor
    return x if abs(scale - 1) < 1e-6 else build.multiply(build.real(scale), x)
