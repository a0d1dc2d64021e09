"""From the call of a library function to nodes, with the shape of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from stayfinite.repair.extraction.values import Shape
from stayfinite.repair.formula import BINARY, REDUCTIONS, UNARY, Node, constant, node

Arguments = dict[str, object]


class CannotReadError(Exception):
    """The call has arguments that the formula has no words for; it becomes a leaf."""


@dataclass
class Formulas:
    """Makes nodes and remembers the shape and dtype of each; None where it is not known."""

    shapes: dict[Node, Shape | None] = field(default_factory=dict)
    dtypes: dict[Node, str] = field(default_factory=dict)

    def shape(self, of: Node) -> Shape | None:
        """The shape of a node."""
        return () if of.op == "constant" else self.shapes.get(of)

    def rank(self, of: Node) -> int:
        """The number of axes of a node.

        Raises:
            CannotReadError: it is not known.
        """
        shape = self.shape(of)
        if shape is None:
            raise CannotReadError("the shape of an operand is not known")
        return len(shape)

    def make(self, op: str, *operands: Node, **attributes: Hashable) -> Node:
        """The node of an operation; its shape follows from those of its operands."""
        made = node(op, *operands, **attributes)
        if self.shapes.get(made) is None:
            shapes = [self.shape(operand) for operand in operands]
            known = [shape for shape in shapes if shape is not None]
            self.shapes[made] = _shape(op, known, attributes) if len(known) == len(shapes) else None
        return made

    def apply(self, op: str, arguments: Arguments) -> Node:
        """The node of a call of the library function that computes `op`, from its arguments.

        Raises:
            CannotReadError: an argument means something that has no node.
        """
        derived = _DERIVED.get(op)
        if derived is not None:
            return derived(self, arguments)
        if op in UNARY or op in ("ones_like", "zeros_like"):
            return self.make(op, _node(arguments, "x"))
        if op in BINARY:
            return self.make(op, _node(arguments, "x"), _node(arguments, "y"))
        if op in REDUCTIONS:
            return self.reduce(op, _node(arguments, "x"), arguments)
        return _OTHER[op](self, arguments)

    def reduce(self, op: str, x: Node, arguments: Arguments) -> Node:
        """A reduction, with all its axes named."""
        axes = self.axes(x, arguments.get("axis"))
        return self.make(op, x, axis=axes, keepdims=bool(arguments.get("keepdims", False)))

    def axes(self, x: Node, axis: object) -> tuple[int, ...]:
        """The reduced axes, none negative; all of them for None."""
        rank = self.rank(x)
        if axis is None:
            return tuple(range(rank))
        given = axis if isinstance(axis, tuple | list) else (axis,)
        return tuple(sorted(_integer(a) % max(rank, 1) for a in given))

    def axis(self, x: Node, axis: object, extra: int = 0) -> int:
        """One axis, not negative, of `x` or of a result with `extra` axes more."""
        rank = self.rank(x) + extra
        found = _integer(axis)
        if not -rank <= found < rank:
            raise CannotReadError(f"axis {found} of {rank}")
        return found % rank

    def size(self, x: Node, axes: tuple[int, ...]) -> int:
        """How many elements a reduction over `axes` takes together."""
        shape = self.shape(x)
        if shape is None:
            raise CannotReadError("the shape of an operand is not known")
        return math.prod(shape[axis] for axis in axes)


def as_constant(value: object) -> Node | None:
    """The node of a Python or NumPy number, else None."""
    if isinstance(value, np.generic):
        value = value.item()
    return constant(value) if isinstance(value, bool | int | float) else None


def _node(arguments: Arguments, role: str) -> Node:
    value = arguments.get(role)
    if not isinstance(value, Node):
        raise CannotReadError(f"{role} is no tensor")
    return value


def _integer(value: object) -> int:
    if isinstance(value, Node) and value.op == "constant":
        value = value.attribute("value")
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise CannotReadError(f"expected an integer, received {value!r}")
    return int(value)


def _integers(value: object) -> tuple[int, ...]:
    items = value if isinstance(value, tuple | list) else (value,)
    return tuple(_integer(item) for item in items)


def _nodes(value: object) -> tuple[Node, ...]:
    if not isinstance(value, tuple | list) or not all(isinstance(x, Node) for x in value):
        raise CannotReadError("expected a list of tensors")
    return tuple(value)


def _clip(f: Formulas, a: Arguments) -> Node:
    x, low, high = _node(a, "x"), a.get("minimum"), a.get("maximum")
    if isinstance(low, Node) and isinstance(high, Node):
        return f.make("clip", x, low, high)
    if isinstance(low, Node):
        return f.make("maximum", x, low)
    return f.make("minimum", x, _node(a, "maximum"))


def _expand_dims(f: Formulas, a: Arguments) -> Node:
    x, axis = _node(a, "x"), a["axis"]
    given = axis if isinstance(axis, tuple | list) else (axis,)
    rank = f.rank(x) + len(given)
    return f.make("expand_dims", x, axis=tuple(sorted(_integer(one) % rank for one in given)))


def _squeeze(f: Formulas, a: Arguments) -> Node:
    x = _node(a, "x")
    if a.get("axis") is None:
        f.rank(x)
        shape = f.shape(x) or ()
        return f.make("squeeze", x, axis=tuple(i for i, n in enumerate(shape) if n == 1))
    return f.make("squeeze", x, axis=f.axes(x, a["axis"]))


def _transpose(f: Formulas, a: Arguments) -> Node:
    x = _node(a, "x")
    rank, axes = f.rank(x), a.get("axes")
    if axes is None or axes == ():
        order = tuple(reversed(range(rank)))
    else:
        order = tuple(axis % rank for axis in _integers(axes))
    return f.make("transpose", x, axes=order)


def _swapaxes(f: Formulas, a: Arguments) -> Node:
    x = _node(a, "x")
    first, second = f.axis(x, a["axis1"]), f.axis(x, a["axis2"])
    order = list(range(f.rank(x)))
    order[first], order[second] = order[second], order[first]
    return f.make("transpose", x, axes=tuple(order))


def _reshape(op: str) -> Callable[[Formulas, Arguments], Node]:
    def build(f: Formulas, a: Arguments) -> Node:
        shape = a["shape"]
        if isinstance(shape, tuple | list) and len(shape) == 1:
            inner = shape[0]
            shape = inner if isinstance(inner, tuple | list) else shape
        return f.make(op, _node(a, "x"), shape=_integers(shape))

    return build


def _stack(op: str, extra: int) -> Callable[[Formulas, Arguments], Node]:
    def build(f: Formulas, a: Arguments) -> Node:
        xs = _nodes(a["xs"])
        return f.make(op, *xs, axis=f.axis(xs[0], a["axis"], extra))

    return build


def _along(op: str) -> Callable[[Formulas, Arguments], Node]:
    def build(f: Formulas, a: Arguments) -> Node:
        x = _node(a, "x")
        return f.make(op, x, axis=f.axis(x, a["axis"]))

    return build


def _take(f: Formulas, a: Arguments) -> Node:
    x = _node(a, "x")
    return f.make("take_along_axis", x, _node(a, "indices"), axis=f.axis(x, a["axis"]))


def _cast(f: Formulas, a: Arguments) -> Node:
    x, dtype = _node(a, "x"), a.get("dtype")
    if not isinstance(dtype, str):
        raise CannotReadError("the dtype is not known")
    made = f.make("cast", x, dtype=dtype)
    f.dtypes[made] = dtype
    return made


def _where(f: Formulas, a: Arguments) -> Node:
    return f.make("where", _node(a, "condition"), _node(a, "x"), _node(a, "y"))


_OTHER: dict[str, Callable[[Formulas, Arguments], Node]] = {
    "broadcast_to": _reshape("broadcast_to"),
    "cast": _cast,
    "clip": _clip,
    "concatenate": _stack("concatenate", 0),
    "cumsum": _along("cumsum"),
    "expand_dims": _expand_dims,
    "log_softmax": _along("log_softmax"),
    "reshape": _reshape("reshape"),
    "softmax": _along("softmax"),
    "squeeze": _squeeze,
    "stack": _stack("stack", 1),
    "take_along_axis": _take,
    "transpose": _transpose,
    "where": _where,
}


# Functions that are formulas of others.


def _variance(f: Formulas, a: Arguments) -> Node:
    x = _node(a, "x")
    axes = f.axes(x, a.get("axis"))
    mean = f.make("mean", x, axis=axes, keepdims=True)
    squares = f.make("square", f.make("subtract", x, mean))
    keepdims = bool(a.get("keepdims", False))
    lost = _integer(a.get("ddof") or 0)
    if a.get("correction") is not None:
        lost = _integer(a["correction"])
    elif "unbiased" in a:  # PyTorch
        lost = int(bool(a["unbiased"]))
    if not lost:
        return f.make("mean", squares, axis=axes, keepdims=keepdims)
    total = f.make("sum", squares, axis=axes, keepdims=keepdims)
    return f.make("divide", total, constant(f.size(x, axes) - lost))


def _std(f: Formulas, a: Arguments) -> Node:
    return f.make("sqrt", _variance(f, a))


def _norm(f: Formulas, a: Arguments) -> Node:
    x, order = _node(a, "x"), a.get("ord")
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
    x = _node(a, "x")
    kept: Arguments = {"axis": a.get("axis"), "keepdims": True}
    epsilon = as_constant(_number(a.get("epsilon", 0.0))) or constant(0.0)
    if "ord" in a:  # PyTorch: by at least epsilon
        length = _norm(f, {**kept, "x": x, "ord": a["ord"]})
        return f.make("divide", x, f.make("maximum", length, epsilon))
    total = f.reduce("sum", f.make("square", x), kept)
    return f.make("multiply", x, f.make("rsqrt", f.make("maximum", total, epsilon)))


def _hypot(f: Formulas, a: Arguments) -> Node:
    x, y = (f.make("square", _node(a, role)) for role in "xy")
    return f.make("sqrt", f.make("add", x, y))


def _divide_no_nan(f: Formulas, a: Arguments) -> Node:
    x, y = _node(a, "x"), _node(a, "y")
    zero = f.make("equal", y, constant(0))
    safe = f.make("where", zero, constant(1.0), y)
    return f.make("where", zero, constant(0.0), f.make("divide", x, safe))


def _squared_difference(f: Formulas, a: Arguments) -> Node:
    return f.make("square", f.make("subtract", _node(a, "x"), _node(a, "y")))


def _logit(f: Formulas, a: Arguments) -> Node:
    x = _node(a, "x")
    rest = f.make("subtract", constant(1.0), x)
    return f.make("log", f.make("divide", x, rest))


def _softplus(f: Formulas, a: Arguments) -> Node:
    x, beta = _node(a, "x"), _number(a.get("beta", 1))
    if beta == 1:
        return f.make("softplus", x)
    scale = as_constant(beta)
    if scale is None:
        raise CannotReadError("softplus with this beta")
    return f.make("divide", f.make("softplus", f.make("multiply", scale, x)), scale)


def _identity(f: Formulas, a: Arguments) -> Node:
    return _node(a, "x")


def _number(value: object) -> object:
    if isinstance(value, Node) and value.op == "constant":
        return value.attribute("value")
    return value


_DERIVED: dict[str, Callable[[Formulas, Arguments], Node]] = {
    "divide_no_nan": _divide_no_nan,
    "hypot": _hypot,
    "identity": _identity,
    "logit": _logit,
    "norm": _norm,
    "normalize": _normalize,
    "softplus": _softplus,
    "squared_difference": _squared_difference,
    "std": _std,
    "swapaxes": _swapaxes,
    "var": _variance,
}


def _shape(op: str, shapes: Sequence[Shape], attributes: dict[str, Hashable]) -> Shape | None:
    first = shapes[0] if shapes else ()
    axis = attributes.get("axis")
    if op in REDUCTIONS:
        axes = set(axis) if isinstance(axis, tuple) else set()
        if attributes.get("keepdims"):
            return tuple(1 if i in axes else n for i, n in enumerate(first))
        return tuple(n for i, n in enumerate(first) if i not in axes)
    example = np.broadcast_to(np.zeros(()), first)
    try:
        if op == "expand_dims":
            assert isinstance(axis, tuple)
            return tuple(np.expand_dims(example, axis).shape)
        if op == "squeeze":
            assert isinstance(axis, tuple)
            return tuple(np.squeeze(example, axis).shape)
        if op == "index":
            return example[python_key(attributes["key"])].shape  # type: ignore[index]
        if op in ("reshape", "broadcast_to"):
            wanted = attributes["shape"]
            assert isinstance(wanted, tuple)
            if op == "broadcast_to":
                kept = (1,) * (len(wanted) - len(first)) + first
                return tuple(o if n == -1 else n for n, o in zip(wanted, kept, strict=True))
            return _reshaped(first, wanted)
        if op == "transpose":
            axes_order = attributes["axes"]
            assert isinstance(axes_order, tuple)
            return tuple(first[i] for i in axes_order)
        if op == "take_along_axis":
            return shapes[1]
        if op in ("stack", "concatenate"):
            assert isinstance(axis, int)
            if op == "stack":
                return (*first[:axis], len(shapes), *first[axis:])
            return (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])
        return np.broadcast_shapes(*shapes)
    except (ValueError, IndexError) as error:
        raise CannotReadError(str(error)) from error


def _reshaped(shape: Shape, wanted: tuple[int, ...]) -> Shape:
    if -1 not in wanted:
        return wanted
    known = math.prod(n for n in wanted if n != -1)
    rest = math.prod(shape) // known if known else 0
    return tuple(rest if n == -1 else n for n in wanted)


def python_key(key: Hashable) -> tuple[object, ...]:
    """The key of an `index` node as Python has it."""
    assert isinstance(key, tuple)
    return tuple(
        slice(*part[1:]) if isinstance(part, tuple) and part[:1] == ("slice",) else part
        for part in key
    )


def node_key(key: object) -> tuple[Hashable, ...]:
    """The key of an `index` node.

    Raises:
        CannotReadError: an index is a tensor, a list or a mask.
    """
    parts = key if isinstance(key, tuple) else (key,)
    found: list[Hashable] = []
    for part in parts:
        if isinstance(part, slice):
            bounds = (part.start, part.stop, part.step)
            if not all(bound is None or isinstance(bound, int) for bound in bounds):
                raise CannotReadError("a slice between tensors")
            found.append(("slice", *bounds))
        elif part is None or part is Ellipsis:
            found.append(part)
        elif isinstance(part, int | np.integer) and not isinstance(part, bool):
            found.append(int(part))
        else:
            raise CannotReadError("an index that is not an integer")
    return tuple(found)
