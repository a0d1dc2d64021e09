"""Makes nodes with the trivial cases done: constants folded, signs to the outside, exp of log."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping

from stayfinite.repair.formula import Node, constant, name_of, node, walk

# Operations that only pick or move the elements of their first operand, and its gradient with them.
REARRANGES = tuple(
    "broadcast_to diagonal expand_dims flip index pick reshape roll squeeze take_along_axis"
    " transpose".split()
)
# The same for values alone.
MOVES_FIRST = (*REARRANGES, "stop_gradient")


def number(x: Node) -> float | None:
    """The value of a constant that is written as a number, otherwise None."""
    return None if name_of(x) is not None else value(x)


def value(x: Node) -> float | None:
    """The value of a constant, with a name or without, otherwise None."""
    if x.op == "constant":
        found = x.attribute("value")
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
    return None


def is_number(x: Node, wanted: float) -> bool:
    """Whether `x` is the constant `wanted`."""
    return number(x) == wanted


def real(number: float) -> Node:
    """A constant; whole numbers are written as such."""
    return constant(float(number))


def _tidy(x: float) -> float:
    """A whole number that floating-point arithmetic has missed by a rounding."""
    return float(round(x)) if abs(x - round(x)) < 1e-12 * abs(x) else x


def _of_named(function: str, x: Node, result: float) -> Node:
    """A function of a constant; libraries take no plain numbers, so it is computed here."""
    name = name_of(x)
    return real(result) if name is None else constant(result, f"{function}({name})")


def negative(x: Node) -> Node:
    """-x."""
    literal = number(x)
    if literal is not None:
        return real(-literal)
    if x.op == "negative":
        return x.operands[0]
    if x.op == "subtract":
        return subtract(x.operands[1], x.operands[0])
    return node("negative", x)


def add(x: Node, y: Node) -> Node:
    """x + y."""
    a, b = number(x), number(y)
    if a is not None and b is not None:
        return real(a + b)
    if a == 0:
        return y
    if b == 0:
        return x
    if y.op == "negative":
        return subtract(x, y.operands[0])
    if x.op == "negative":
        return subtract(y, x.operands[0])
    if b is not None and b < 0:
        return subtract(x, real(-b))
    return node("add", x, y)


def subtract(x: Node, y: Node) -> Node:
    """x - y."""
    a, b = number(x), number(y)
    if a is not None and b is not None:
        return real(a - b)
    if b == 0:
        return x
    if a == 0:
        return negative(y)
    if y.op == "negative":
        return add(x, y.operands[0])
    if b is not None and b < 0:
        return node("add", x, real(-b))
    return node("subtract", x, y)


def multiply(x: Node, y: Node) -> Node:
    """x * y."""
    a, b = number(x), number(y)
    if a is not None and b is not None:
        return real(a * b)
    if b is not None:
        x, y, a, b = y, x, b, a
    if a == 1:
        return y
    if a == -1:
        return negative(y)
    if x.op == "negative":
        return negative(multiply(x.operands[0], y))
    if y.op == "negative":
        return negative(multiply(x, y.operands[0]))
    if a is not None and y.op == "multiply":
        inner = number(y.operands[0])
        if inner is not None:
            return multiply(real(_tidy(a * inner)), y.operands[1])
    if a is not None and y.op == "divide":
        inner = number(y.operands[1])
        if inner and _tidy(a / inner) in (1.0, -1.0, 2.0, -2.0):
            return multiply(real(_tidy(a / inner)), y.operands[0])
    if x is y:
        return square(x)
    return node("multiply", x, y)


def divide(x: Node, y: Node) -> Node:
    """x / y."""
    a, b = number(x), number(y)
    if a is not None and b:
        return real(a / b)
    if b == 1:
        return x
    if b == -1:
        return negative(x)
    if b and x.op == "multiply":
        inner = number(x.operands[0])
        if inner is not None and _tidy(inner / b) in (1.0, -1.0, 2.0, -2.0):
            return multiply(real(_tidy(inner / b)), x.operands[1])
    if x.op == "negative":
        return negative(divide(x.operands[0], y))
    if y.op == "negative":
        return negative(divide(x, y.operands[0]))
    return node("divide", x, y)


def square(x: Node) -> Node:
    """x * x."""
    literal = number(x)
    if literal is not None:
        return real(literal * literal)
    if x.op in ("negative", "abs"):
        return square(x.operands[0])
    if x.op == "sqrt":
        return x.operands[0]
    return node("square", x)


def power(x: Node, y: Node) -> Node:
    """x ** y."""
    exponent, base = number(y), number(x)
    if exponent == 1:
        return x
    if exponent == 0:
        return real(1.0)
    if exponent == 2:
        return square(x)
    if exponent == 0.5:
        return sqrt(x)
    if exponent == -1:
        return divide(real(1.0), x)
    if base is not None and exponent is not None and base > 0:
        return real(base**exponent)
    return node("power", x, y)


def sqrt(x: Node) -> Node:
    """The square root of x."""
    known = value(x)
    if known is not None and known >= 0:
        return _of_named("sqrt", x, math.sqrt(known))
    if x.op == "square":
        return absolute(x.operands[0])
    return node("sqrt", x)


def absolute(x: Node) -> Node:
    """|x|."""
    known = value(x)
    if known is not None:
        return x if known >= 0 else negative(x)
    if x.op in ("negative", "abs"):
        return absolute(x.operands[0]) if x.op == "negative" else x
    return x if x.op in ("square", "exp", "sqrt") else node("abs", x)


def exp(x: Node) -> Node:
    """exp(x), by the function that it is where x is a logarithm."""
    known = value(x)
    if known is not None and known < 80:
        return _of_named("exp", x, math.exp(known))
    if x.op == "log":
        return x.operands[0]
    if x.op == "log_sigmoid":
        return node("sigmoid", *x.operands)
    if x.op == "log_softmax":
        return node("softmax", *x.operands, **dict(x.attributes))
    if x.op == "negative" and x.operands[0].op == "softplus":
        return node("sigmoid", negative(x.operands[0].operands[0]))
    return node("exp", x)


def log(x: Node) -> Node:
    """log(x)."""
    known = value(x)
    if known is not None and known > 0:
        return _of_named("log", x, math.log(known))
    return x.operands[0] if x.op == "exp" else node("log", x)


def where(condition: Node, x: Node, y: Node) -> Node:
    """x where the condition holds, otherwise y."""
    return x if x is y else node("where", condition, x, y)


BUILDERS: dict[str, Callable[..., Node]] = {
    "abs": absolute,
    "add": add,
    "divide": divide,
    "exp": exp,
    "log": log,
    "multiply": multiply,
    "negative": negative,
    "power": power,
    "sqrt": sqrt,
    "square": square,
    "subtract": subtract,
    "where": where,
}


def made(op: str, *operands: Node, **attributes: Hashable) -> Node:
    """The node of an operation with the trivial cases done."""
    builder = BUILDERS.get(op)
    return builder(*operands) if builder is not None else node(op, *operands, **attributes)


def rebuilt(x: Node, operands: tuple[Node, ...]) -> Node:
    """The operation of `x` on other operands."""
    if operands == x.operands:
        return x
    return made(x.op, *operands, **dict(x.attributes))


def reduced(op: str, x: Node, axis: object, keepdims: object) -> Node:
    """A reduction over `axis`."""
    return node(op, x, axis=axis, keepdims=keepdims)


def substituted(root: Node, mapping: Mapping[Node, Node]) -> Node:
    """`root` with every key of `mapping` replaced, all at once."""
    done = dict(mapping)
    for x in walk(root):
        if x not in done:
            done[x] = rebuilt(x, tuple(done[operand] for operand in x.operands))
    return done[root]


def uses(root: Node, parts: Collection[Node]) -> bool:
    """Whether one of `parts` occurs in `root`."""
    return any(x in parts for x in walk(root))
