"""From the call of a library function to the node of its operation."""

from __future__ import annotations

from collections.abc import Callable

from stayfinite.repair.extraction.derived import DERIVED
from stayfinite.repair.extraction.formulas import (
    Arguments,
    Formulas,
    integer_of,
    integers_of,
    node_of,
    nodes_of,
)
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.formula import BINARY, REDUCTIONS, UNARY, Node


def apply(formulas: Formulas, op: str, arguments: Arguments) -> Node:
    """The node of a call of the library function that computes `op`, from its arguments.

    Raises:
        CannotReadError: an argument means something that has no node.
    """
    derived = DERIVED.get(op)
    if derived is not None:
        return derived(formulas, arguments)
    if op in UNARY or op in ("ones_like", "zeros_like"):
        return formulas.make(op, node_of(arguments, "x"))
    if op in BINARY:
        return formulas.make(op, node_of(arguments, "x"), node_of(arguments, "y"))
    if op in REDUCTIONS:
        return formulas.reduce(op, node_of(arguments, "x"), arguments)
    return _OTHER[op](formulas, arguments)


def _clip(f: Formulas, a: Arguments) -> Node:
    x, low, high = node_of(a, "x"), a.get("minimum"), a.get("maximum")
    if isinstance(low, Node) and isinstance(high, Node):
        return f.make("clip", x, low, high)
    if isinstance(low, Node):
        return f.make("maximum", x, low)
    return f.make("minimum", x, node_of(a, "maximum"))


def _expand_dims(f: Formulas, a: Arguments) -> Node:
    x, axis = node_of(a, "x"), a["axis"]
    given = axis if isinstance(axis, tuple | list) else (axis,)
    rank = f.rank(x) + len(given)
    return f.make("expand_dims", x, axis=tuple(sorted(integer_of(one) % rank for one in given)))


def _squeeze(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    if a.get("axis") is None:
        f.rank(x)
        shape = f.shape(x) or ()
        return f.make("squeeze", x, axis=tuple(i for i, n in enumerate(shape) if n == 1))
    return f.make("squeeze", x, axis=f.axes(x, a["axis"]))


def _transpose(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    rank, axes = f.rank(x), a.get("axes")
    if axes is None or axes == ():
        order = tuple(reversed(range(rank)))
    else:
        order = tuple(axis % rank for axis in integers_of(axes))
    return f.make("transpose", x, axes=order)


def _reshape(op: str) -> Callable[[Formulas, Arguments], Node]:
    def build(f: Formulas, a: Arguments) -> Node:
        shape = a["shape"]
        if isinstance(shape, tuple | list) and len(shape) == 1:
            inner = shape[0]
            shape = inner if isinstance(inner, tuple | list) else shape
        return f.make(op, node_of(a, "x"), shape=integers_of(shape))

    return build


def _stack(op: str, extra: int) -> Callable[[Formulas, Arguments], Node]:
    def build(f: Formulas, a: Arguments) -> Node:
        xs = nodes_of(a["xs"])
        return f.make(op, *xs, axis=f.axis(xs[0], a["axis"], extra))

    return build


def _along(op: str) -> Callable[[Formulas, Arguments], Node]:
    def build(f: Formulas, a: Arguments) -> Node:
        x = node_of(a, "x")
        return f.make(op, x, axis=f.axis(x, a["axis"]))

    return build


def _cumulative(op: str) -> Callable[[Formulas, Arguments], Node]:
    def build(f: Formulas, a: Arguments) -> Node:
        x = node_of(a, "x")
        if a.get("axis") is not None:
            return f.make(op, x, axis=f.axis(x, a["axis"]))
        flat = x if f.rank(x) == 1 else f.make("reshape", x, shape=(-1,))
        return f.make(op, flat, axis=0)

    return build


def _take(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    return f.make("take_along_axis", x, node_of(a, "indices"), axis=f.axis(x, a["axis"]))


def _flip(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    return f.make("flip", x, axis=f.axes(x, a.get("axis")))


def _roll(f: Formulas, a: Arguments) -> Node:
    x, shifts = node_of(a, "x"), integers_of(a["shift"])
    if a.get("axis") is None:
        flat = x if f.rank(x) == 1 else f.make("reshape", x, shape=(-1,))
        rolled = f.make("roll", flat, shift=sum(shifts), axis=(0,))
        return rolled if flat is x else f.make("reshape", rolled, shape=f.shape(x))
    axes = [f.axis(x, axis) for axis in integers_of(a["axis"])]
    if len(shifts) not in (1, len(axes)):
        raise CannotReadError("shifts for other axes")
    totals = dict.fromkeys(sorted(axes), 0)
    for axis, shift in zip(axes, shifts * len(axes) if len(shifts) == 1 else shifts, strict=True):
        totals[axis] += shift
    several = tuple(totals.values())
    one_shift = several[0] if len(several) == 1 else several
    return f.make("roll", x, shift=one_shift, axis=tuple(totals))


def _diagonal(f: Formulas, a: Arguments) -> Node:
    x = node_of(a, "x")
    if f.rank(x) != 2:
        raise CannotReadError("the diagonal of what is no matrix")
    return f.make("diagonal", x)


def _cast(f: Formulas, a: Arguments) -> Node:
    x, dtype = node_of(a, "x"), a.get("dtype")
    if not isinstance(dtype, str):
        raise CannotReadError("the dtype is not known")
    made = f.make("cast", x, dtype=dtype)
    f.dtypes[made] = dtype
    return made


def _where(f: Formulas, a: Arguments) -> Node:
    return f.make("where", node_of(a, "condition"), node_of(a, "x"), node_of(a, "y"))


_OTHER: dict[str, Callable[[Formulas, Arguments], Node]] = {
    "broadcast_to": _reshape("broadcast_to"),
    "cast": _cast,
    "clip": _clip,
    "concatenate": _stack("concatenate", 0),
    "cumprod": _cumulative("cumprod"),
    "cumsum": _cumulative("cumsum"),
    "diagonal": _diagonal,
    "expand_dims": _expand_dims,
    "flip": _flip,
    "log_softmax": _along("log_softmax"),
    "logcumsumexp": _along("logcumsumexp"),
    "reshape": _reshape("reshape"),
    "roll": _roll,
    "softmax": _along("softmax"),
    "squeeze": _squeeze,
    "stack": _stack("stack", 1),
    "take_along_axis": _take,
    "transpose": _transpose,
    "where": _where,
}
