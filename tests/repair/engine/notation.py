"""Writes formulas of the engine as Python expressions."""

from __future__ import annotations

import numpy as np

from stayfinite.repair.formula import LeafRole, Node, constant, leaf, node


class Expr:
    """A formula with its shape; Python's operators make larger ones."""

    def __init__(self, root: Node, shape: tuple[int, ...]):
        self.root, self.shape = root, shape

    def __add__(self, other):
        return call("add", self, other)

    def __radd__(self, other):
        return call("add", other, self)

    def __sub__(self, other):
        return call("subtract", self, other)

    def __rsub__(self, other):
        return call("subtract", other, self)

    def __mul__(self, other):
        return call("multiply", self, other)

    def __rmul__(self, other):
        return call("multiply", other, self)

    def __truediv__(self, other):
        return call("divide", self, other)

    def __rtruediv__(self, other):
        return call("divide", other, self)

    def __pow__(self, other):
        return call("power", self, other)

    def __rpow__(self, other):
        return call("power", other, self)

    def __neg__(self):
        return call("negative", self)

    def __gt__(self, other):
        return call("greater", self, other)

    def __getitem__(self, key):
        key = key if isinstance(key, tuple) else (key,)
        shape = np.empty(self.shape)[key].shape
        stored = tuple(
            ("slice", k.start, k.stop, k.step) if isinstance(k, slice) else k for k in key
        )
        return Expr(node("index", self.root, key=stored), shape)


def call(op, *operands):
    parts = [x if isinstance(x, Expr) else Expr(constant(x), ()) for x in operands]
    shape = np.broadcast_shapes(*(x.shape for x in parts))
    return Expr(node(op, *(x.root for x in parts)), shape)


def reduce(op, x, axis=-1, keepdims=False):
    axis = axis % len(x.shape)
    shape = list(x.shape)
    shape[axis : axis + 1] = [1] if keepdims else []
    return Expr(node(op, x.root, axis=(axis,), keepdims=keepdims), tuple(shape))


def along(op, x, axis=-1):
    return Expr(node(op, x.root, axis=axis % len(x.shape)), x.shape)


def one_leaf(name, array):
    """A leaf by its name: `n_...` is an integer, `m_...` a mask, `d_...` data, others variables."""
    roles = {"n": LeafRole.INTEGER, "m": LeafRole.MASK, "d": LeafRole.DATA}
    head, _, rest = name.partition("_")
    role = roles.get(head, LeafRole.VARIABLE) if rest else LeafRole.VARIABLE
    return Expr(leaf(name, role), np.shape(array))
