"""Functions of the normal distribution as formulas of `erfc`, `log_ndtr` and `exp`."""

from __future__ import annotations

import math
from collections.abc import Callable

from stayfinite.repair.extraction.formulas import Arguments, Formulas, as_constant, node_of
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.formula import Node, constant


def _cdf(f: Formulas, z: Node) -> Node:
    tail = f.make("erfc", f.make("multiply", constant(-math.sqrt(0.5)), z))
    return f.make("multiply", constant(0.5), tail)


def _log_cdf(f: Formulas, z: Node) -> Node:
    return f.make("log_ndtr", z)


def _mirrored(function: Callable[[Formulas, Node], Node]) -> Callable[[Formulas, Node], Node]:
    """The survival function is the distribution function of -z."""
    return lambda f, z: function(f, f.make("negative", z))


def _of_standardised(
    function: Callable[[Formulas, Node], Node],
) -> Callable[[Formulas, Arguments], Node]:
    return lambda f, a: function(f, _standardised(f, a))


def _log_density(f: Formulas, a: Arguments) -> Node:
    square = f.make("square", _standardised(f, a))
    exponent = f.make("multiply", constant(-0.5), square)
    scale = _operand(a, "scale")
    if not _is(scale, 1.0):
        exponent = f.make("subtract", exponent, f.make("log", scale))
    return f.make("subtract", exponent, constant(0.5 * math.log(2 * math.pi)))


def _density(f: Formulas, a: Arguments) -> Node:
    return f.make("exp", _log_density(f, a))


def _standardised(f: Formulas, a: Arguments) -> Node:
    x, mean, scale = node_of(a, "x"), _operand(a, "loc"), _operand(a, "scale")
    if not _is(mean, 0.0):
        x = f.make("subtract", x, mean)
    return x if _is(scale, 1.0) else f.make("divide", x, scale)


def _operand(a: Arguments, role: str) -> Node:
    value = a.get(role, 0 if role == "loc" else 1)
    found = value if isinstance(value, Node) else as_constant(value)
    if found is None:
        raise CannotReadError(f"{role} is no tensor")
    return found


def _is(x: Node, wanted: float) -> bool:
    return x.op == "constant" and x.attribute("value") == wanted


NORMAL: dict[str, Callable[[Formulas, Arguments], Node]] = {
    "ndtr": _of_standardised(_cdf),
    "normal_cdf": _of_standardised(_cdf),
    "normal_survival": _of_standardised(_mirrored(_cdf)),
    "normal_log_cdf": _of_standardised(_log_cdf),
    "normal_log_survival": _of_standardised(_mirrored(_log_cdf)),
    "normal_density": _density,
    "normal_log_density": _log_density,
}
