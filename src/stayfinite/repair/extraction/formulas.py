"""Makes the nodes of a formula, with the shape of each."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from stayfinite.repair.extraction.shapes import CannotReadError, shape_of_result
from stayfinite.repair.extraction.values import NamedFloat, NamedInt, Shape
from stayfinite.repair.formula import Node, constant, node

Arguments = dict[str, object]


@dataclass
class Formulas:
    """Makes nodes and remembers the shape and dtype of each; None where it is not known.

    A small product of matrices is a sum of products with `contracts`, else a leaf;
    `has_contraction` is then true.
    """

    contracts: bool = False
    has_contraction: bool = False
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
            self.shapes[made] = (
                shape_of_result(op, known, attributes) if len(known) == len(shapes) else None
            )
        return made

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
        return tuple(sorted(integer_of(a) % max(rank, 1) for a in given))

    def axis(self, x: Node, axis: object, extra: int = 0) -> int:
        """One axis, not negative, of `x` or of a result with `extra` axes more."""
        rank = self.rank(x) + extra
        found = integer_of(axis)
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
    if isinstance(value, NamedInt | NamedFloat):
        return constant(value.plain, value.name)
    return constant(value) if isinstance(value, bool | int | float) else None


def node_of(arguments: Arguments, role: str) -> Node:
    """The node that is passed as `role`.

    Raises:
        CannotReadError: there is none, or it is no tensor.
    """
    value = arguments.get(role)
    if not isinstance(value, Node):
        raise CannotReadError(f"{role} is no tensor")
    return value


def integer_of(value: object) -> int:
    """An argument that is an integer.

    Raises:
        CannotReadError: it is anything else.
    """
    if isinstance(value, Node) and value.op == "constant":
        value = value.attribute("value")
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise CannotReadError(f"expected an integer, received {value!r}")
    return int(value)


def integers_of(value: object) -> tuple[int, ...]:
    """An argument that is one integer or several.

    Raises:
        CannotReadError: it is anything else.
    """
    items = value if isinstance(value, tuple | list) else (value,)
    return tuple(integer_of(item) for item in items)


def nodes_of(value: object) -> tuple[Node, ...]:
    """An argument that is a list of tensors.

    Raises:
        CannotReadError: it is anything else.
    """
    if not isinstance(value, tuple | list) or not all(isinstance(x, Node) for x in value):
        raise CannotReadError("expected a list of tensors")
    return tuple(value)
