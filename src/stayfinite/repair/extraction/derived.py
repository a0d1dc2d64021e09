"""Library functions that are formulas of other operations: variance, norm, hypot, ..."""

from __future__ import annotations

import math
from collections.abc import Callable

from stayfinite.repair.extraction.contractions import matmul
from stayfinite.repair.extraction.formulas import (
    Arguments,
    Formulas,
    as_constant,
    integer_of,
    node_of,
)
from stayfinite.repair.extraction.normal_distribution import NORMAL
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.formula import Node, constant


def _variance(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    axes = f.axes(x, a.get("axis"))
    mean = f.make("mean", x, axis=axes, keepdims=True)
    squares = f.make("square", f.make("subtract", x, mean))
    keepdims = bool(a.get("keepdims", False))
    lost = integer_of(a.get("ddof") or 0)
    if a.get("correction") is not None:
        lost = integer_of(a["correction"])
    elif "unbiased" in a:  # PyTorch
        lost = int(bool(a["unbiased"]))
    if not lost:
        return f.make("mean", squares, axis=axes, keepdims=keepdims)
    total = f.make("sum", squares, axis=axes, keepdims=keepdims)
    return f.make("divide", total, constant(f.size(x, axes) - lost))


def _std(f: Formulas, a: Arguments) -> Node:
    return f.make("sqrt", _variance(f, a))


def _norm(f: Formulas, a: Arguments) -> Node:
    x, order = node_of(a, "x"), a.get("ord")
    if isinstance(order, Node):
        order = order.attribute("value") if order.op == "constant" else order
    axis = a.get("axis")
    several = isinstance(axis, tuple | list) and len(axis) > 1
    if order in (None, "euclidean", "fro", 2):
        if order == 2 and (several or (axis is None and f.rank(x) == 2)):
            raise CannotReadError("the norm of a matrix")
        return f.make("sqrt", f.reduce("sum", f.make("square", x), a))
    if order == 1 and not several:
        return f.reduce("sum", f.make("abs", x), a)
    if not isinstance(order, int | float) or isinstance(order, bool) or math.isinf(order):
        raise CannotReadError("a norm of this order")
    powers = f.make("power", f.make("abs", x), constant(order))
    return f.make("power", f.reduce("sum", powers, a), constant(1 / order))


def _normalize(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    kept: Arguments = {"axis": a.get("axis"), "keepdims": True}
    epsilon = as_constant(_number(a.get("epsilon", 0.0))) or constant(0.0)
    if "ord" in a:  # PyTorch: by at least epsilon
        length = _norm(f, {**kept, "x": x, "ord": a["ord"]})
        return f.make("divide", x, f.make("maximum", length, epsilon))
    total = f.reduce("sum", f.make("square", x), kept)
    return f.make("multiply", x, f.make("rsqrt", f.make("maximum", total, epsilon)))


def _hypot(f: Formulas, a: Arguments) -> Node:
    x, y = (f.make("square", node_of(a, role)) for role in "xy")
    return f.make("sqrt", f.make("add", x, y))


def _divide_no_nan(f: Formulas, a: Arguments) -> Node:
    x, y = node_of(a, "x"), node_of(a, "y")
    zero = f.make("equal", y, constant(0))
    safe = f.make("where", zero, constant(1.0), y)
    return f.make("where", zero, constant(0.0), f.make("divide", x, safe))


def _squared_difference(f: Formulas, a: Arguments) -> Node:
    return f.make("square", f.make("subtract", node_of(a, "x"), node_of(a, "y")))


def _logit(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    rest = f.make("subtract", constant(1.0), x)
    return f.make("log", f.make("divide", x, rest))


def _entropy(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    return f.make("negative", f.make("xlogy", x, x))


def _cube_root(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    return f.make("multiply", f.make("sign", x), f.make("power", f.make("abs", x), constant(1 / 3)))


def _sinc(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    zero = f.make("equal", x, constant(0))
    safe = f.make("multiply", constant(math.pi), f.make("where", zero, constant(1.0), x))
    return f.make("where", zero, constant(1.0), f.make("divide", f.make("sin", safe), safe))


def _log_beta(f: Formulas, a: Arguments) -> Node:
    x, y = node_of(a, "x"), node_of(a, "y")
    both = f.make("add", f.make("lgamma", x), f.make("lgamma", y))
    return f.make("subtract", both, f.make("lgamma", f.make("add", x, y)))


def _softplus(f: Formulas, a: Arguments) -> Node:
    x, beta = node_of(a, "x"), _number(a.get("beta", 1))
    if beta == 1:
        return f.make("softplus", x)
    scale = as_constant(beta)
    if scale is None:
        raise CannotReadError("softplus with this beta")
    return f.make("divide", f.make("softplus", f.make("multiply", scale, x)), scale)


def _swapaxes(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    first, second = f.axis(x, a["axis1"]), f.axis(x, a["axis2"])
    order = list(range(f.rank(x)))
    order[first], order[second] = order[second], order[first]
    return f.make("transpose", x, axes=tuple(order))


def _identity(f: Formulas, a: Arguments) -> Node:
    return node_of(a, "x")


def _number(value: object) -> object:
    if isinstance(value, Node) and value.op == "constant":
        return value.attribute("value")
    return value


DERIVED: dict[str, Callable[[Formulas, Arguments], Node]] = {
    **NORMAL,
    "betaln": _log_beta,
    "cbrt": _cube_root,
    "divide_no_nan": _divide_no_nan,
    "entr": _entropy,
    "hypot": _hypot,
    "identity": _identity,
    "logit": _logit,
    "matmul": matmul,
    "norm": _norm,
    "normalize": _normalize,
    "sinc": _sinc,
    "softplus": _softplus,
    "squared_difference": _squared_difference,
    "std": _std,
    "swapaxes": _swapaxes,
    "var": _variance,
}
