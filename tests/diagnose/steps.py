"""Evidence written by hand: a graph of ops, and NumPy for their values."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.evidence import Evidence, gather
from stayfinite.diagnose.values import Values
from stayfinite.graph.graph import Graph, Leaf, Op, Span, Value


class StepByHand:
    """A step that is computed while it is written down.

    Every method returns the number of a value. Ops are on one line of `train.py` each.
    """

    def __init__(self, dtype="float32"):
        self.dtype = dtype
        self.arrays: dict[int, np.ndarray] = {}
        self.leaves: dict[int, Leaf] = {}
        self.constants: dict[int, np.ndarray] = {}
        self.ops: list[Op] = []
        self.axes: dict[int, int] = {}

    def _value(self, array, axis=0):
        number = len(self.arrays)
        self.arrays[number] = np.asarray(array)
        if axis is not None and self.arrays[number].ndim:
            self.axes[number] = axis
        return number

    def leaf(self, role, array, name=None, dtype=None):
        number = self._value(
            np.asarray(array, dtype or self.dtype), 0 if role != "weight" else None
        )
        self.leaves[number] = Leaf(number, role, name or role)
        return number

    def constant(self, array):
        number = self._value(np.asarray(array, self.dtype), None)
        self.constants[number] = self.arrays[number]
        return number

    def op(self, name, operands, result, *, phase="forward", dtype=None, **options):
        """An op with this result; `options` are fields of `Op`."""
        number = self._value(np.asarray(result, dtype or self.dtype))
        index = len(self.ops)
        span = Span("train.py", index + 1, 4, index + 1, 20, "loss")
        fields = {"layer": None, "span": span, "stack": (span,), **options}
        self.ops.append(Op(index, name, phase, tuple(operands), (number,), **fields))
        return number

    def evidence(self, *, root=None, leaf=None, **options) -> Evidence:
        """The evidence at the op that made the value `root`, or at the input `leaf`."""
        loss = options.pop("loss", None)
        graph = Graph(
            ops=self.ops,
            values={
                n: Value(n, array.shape, array.dtype.name, self.axes.get(n))
                for n, array in self.arrays.items()
            },
            leaves=self.leaves,
            constants=self.constants,
            loss=loss,
            gradients=options.pop("gradients", {}),
            new_state=options.pop("new_state", {}),
            num_samples=4,
        )
        op = None if root is None else graph.producer[root]
        came_in = None if leaf is None else self.leaves[leaf]
        values = Values(graph, lambda wanted: {value: self.arrays[value] for value in wanted})
        options = {"loss_finite": False, "ranges": {}, **options}
        return gather(graph, op, came_in, values, **options)


def evidence_of(graph, fetch, *, root, loss_finite=False) -> Evidence:
    """The evidence at op number `root` of a graph."""
    return gather(
        graph, graph.ops[root], None, Values(graph, fetch), loss_finite=loss_finite, ranges={}
    )
