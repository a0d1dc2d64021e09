"""A numerical formula as a directed acyclic graph of framework-neutral operations.

Nodes are hash-consed: equal formulas are the same object, so identity is equality and a
sub-formula that occurs twice is one node. Operation names are those of `keras.ops`; operands
follow NumPy's broadcasting rules.
"""

from __future__ import annotations

import enum
import weakref
from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass


class LeafRole(enum.Enum):
    """What a leaf stands for, which decides what may be done with its value."""

    VARIABLE = "variable"  # a floating-point value that depends on weights: needs a gradient
    DATA = "data"  # a floating-point value of the batch
    MASK = "mask"  # 0/1 values, booleans, one-hot codes: never disturbed
    INTEGER = "integer"  # counts, indices: never disturbed


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Node:
    """One operation on other nodes; made by `node`, `leaf` and `constant` only.

    `attributes` are sorted by name. An `axis` is never negative; it is an int for `softmax`,
    `log_softmax`, `stack`, `concatenate`, `take_along_axis`, `cumsum`, `cumprod` and
    `logcumsumexp`, and a sorted tuple of ints for reductions, `expand_dims`, `flip` and `roll`.
    """

    op: str
    operands: tuple[Node, ...] = ()
    attributes: tuple[tuple[str, Hashable], ...] = ()

    def attribute(self, name: str) -> Hashable:
        """The attribute `name`.

        Raises:
            KeyError: the operation has no such attribute.
        """
        return dict(self.attributes)[name]

    def __repr__(self) -> str:
        parts = [*map(repr, self.operands), *(f"{k}={v!r}" for k, v in self.attributes)]
        return f"{self.op}({', '.join(parts)})"


# Operations of one operand, element by element.
UNARY = frozenset(
    "abs arccos arccosh arcsin arcsinh arctan arctanh ceil cos cosh digamma erf erfc erfinv exp"
    " exp2 expm1 floor gamma i0 i0e i1 i1e lgamma log log10 log1p log2 log_ndtr log_sigmoid"
    " logical_not negative reciprocal relu round rsqrt sigmoid sign silu sin sinh softplus sqrt"
    " square stop_gradient tan tanh".split()
)
# Operations of two operands, with broadcasting.
BINARY = frozenset(
    "add arctan2 divide equal floor_divide greater greater_equal hypot less less_equal logaddexp"
    " logical_and logical_or maximum minimum mod multiply not_equal power subtract xlogy".split()
)
# With `axis` (a tuple of all reduced axes) and `keepdims`.
REDUCTIONS = frozenset("all any logsumexp max mean min norm prod std sum var".split())
# Everything else, with its attributes.
OTHER: dict[str, tuple[str, ...]] = {
    "broadcast_to": ("shape",),
    "cast": ("dtype",),
    "clip": (),  # x, minimum, maximum
    "concatenate": ("axis",),
    "cumprod": ("axis",),
    "cumsum": ("axis",),
    "diagonal": (),  # of a matrix
    "expand_dims": ("axis",),
    "flip": ("axis",),
    "index": ("key",),  # a tuple of ints, None, Ellipsis and ("slice", start, stop, step)
    "log_softmax": ("axis",),
    "logcumsumexp": ("axis",),
    "ones_like": (),
    "pick": (),  # x and integer arrays, the indices along its first axes: x[i, j]
    "reshape": ("shape",),
    "roll": ("axis", "shift"),  # one shift, or one for each axis
    "softmax": ("axis",),
    "squeeze": ("axis",),
    "stack": ("axis",),
    "take_along_axis": ("axis",),  # x, indices
    "transpose": ("axes",),
    "where": (),  # condition, x, y
    "zeros_like": (),
}

_NODES: weakref.WeakValueDictionary[Hashable, Node] = weakref.WeakValueDictionary()


def node(op: str, *operands: Node, **attributes: Hashable) -> Node:
    """The node of an operation; the same object for the same arguments."""
    return _interned(op, operands, tuple(sorted(attributes.items())))


def leaf(name: str, role: LeafRole) -> Node:
    """A value that the formula takes as given, by a name unique in the formula."""
    return _interned("leaf", (), (("name", name), ("role", role)))


def constant(value: float | bool, name: str | None = None) -> Node:
    """A Python number written in the formula. True, 1 and 1.0 are three different constants.

    `name` is the user's expression for it, such as a parameter. Its value may be another one
    elsewhere, so a constant with a name is not folded into others.
    """
    attributes = (("type", _type_name(value)), ("value", value))
    return _interned("constant", (), attributes if name is None else (("name", name), *attributes))


def name_of(x: Node) -> str | None:
    """The name of a constant that has one."""
    name = dict(x.attributes).get("name") if x.op == "constant" else None
    return name if isinstance(name, str) else None


def _type_name(value: float | bool) -> str:
    return next(kind.__name__ for kind in (bool, int, float) if isinstance(value, kind))


def walk(root: Node, known: Container[Node] = ()) -> Iterator[Node]:
    """Every node of the formula once, operands before the operations that use them.

    Without the nodes in `known`, and those that only they use.
    """
    done: set[Node] = set()
    stack = [root]
    while stack:
        current = stack[-1]
        if current in done or current in known:
            stack.pop()
            continue
        waiting = [x for x in current.operands if x not in done and x not in known]
        if waiting:
            stack.extend(reversed(waiting))
        else:
            stack.pop()
            done.add(current)
            yield current


def replaced(root: Node, old: Node, new: Node) -> Node:
    """`root` with `new` in the place of every occurrence of `old`."""
    made: dict[Node, Node] = {old: new}
    for current in walk(root):
        if current not in made:
            operands = tuple(made[operand] for operand in current.operands)
            same = operands == current.operands
            made[current] = current if same else _interned(current.op, operands, current.attributes)
    return made[root]


def _interned(
    op: str, operands: tuple[Node, ...], attributes: tuple[tuple[str, Hashable], ...]
) -> Node:
    key = (op, operands, attributes)
    found = _NODES.get(key)
    if found is None:
        found = Node(op, operands, attributes)
        _NODES[key] = found
    return found
