"""The first bad op with its numbers at hand: what a rule looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from stayfinite.graph.graph import Graph, Leaf, Op
from stayfinite.graph.walk import primal_of

Fetch = Callable[[Iterable[int]], dict[int, np.ndarray]]


@dataclass(frozen=True)
class Earlier:
    """The same step on the same batch, with the state of `num_steps` steps before.

    `fetch` has the arrays of that run under the numbers of the failing one; None where the step
    could not be run on that state.
    """

    num_steps: int
    fetch: Callable[[Iterable[int]], dict[int, np.ndarray] | None] = field(repr=False)


@dataclass(frozen=True)
class Evidence:
    """One root of the failure, with arrays.

    Either `op` made the first bad value, or `leaf` brought it in; the other is None. `primal` is
    the forward op that `op` differentiates (`op` itself in the forward pass). Arrays that belong
    to a value are found by its number in `arrays`. `loss_finite` tells whether the loss was finite
    all the same. `ranges` holds, for each array of the batch by name, the largest magnitudes seen
    in healthy batches before this one. `finite_wider` runs the step in float64 and tells whether it
    was finite. `earlier` is there where a state of some steps before is known.
    """

    trace: Graph
    op: Op | None
    primal: Op | None
    leaf: Leaf | None
    arrays: dict[int, np.ndarray]
    fetch: Fetch = field(repr=False)
    loss_finite: bool = False
    ranges: dict[str, float] = field(default_factory=dict)
    finite_wider: Callable[[], bool] = field(default=lambda: False, repr=False)
    earlier: Earlier | None = None

    def bad(self, value: int) -> np.ndarray:
        """Which elements of `value` are not finite."""
        mask: np.ndarray = ~np.isfinite(as_float(self.arrays[value]))
        return mask

    def results_of(self, op: Op) -> np.ndarray:
        """The first result of `op`."""
        return self.arrays[op.results[0]]

    def operand(self, op: Op, position: int) -> np.ndarray:
        """Operand `position` of `op`, broadcast to the shape of its result where it can be."""
        array = self.arrays[op.operands[position]]
        shape = self.arrays[op.results[0]].shape
        try:
            return np.broadcast_to(array, shape)
        except ValueError:
            return array

    def samples(self, value: int, mask: np.ndarray) -> tuple[int, ...] | None:
        """The samples of the batch that the elements under `mask` belong to, if that is known."""
        axis = self.trace.values[value].batch_axis
        if axis is None or mask.ndim <= axis:
            return None
        others = tuple(d for d in range(mask.ndim) if d != axis)
        return tuple(int(sample) for sample in np.flatnonzero(mask.any(axis=others)))


def as_float(array: np.ndarray) -> np.ndarray:
    """`array` in a dtype that NumPy can test for finiteness; bfloat16 and integers are widened."""
    if array.dtype.kind == "f" and array.dtype.itemsize >= 2 and array.dtype.name != "bfloat16":
        return array
    return array.astype(np.float64) if array.dtype.kind != "c" else array


def gather(
    trace: Graph,
    op: Op | None,
    leaf: Leaf | None,
    fetch: Fetch,
    *,
    loss_finite: bool,
    ranges: dict[str, float],
    finite_wider: Callable[[], bool] = lambda: False,
    earlier: Earlier | None = None,
) -> Evidence:
    """Fetch the arrays around a root and put them together."""
    primal: Op | None = None
    wanted: list[int] = []
    if op is not None:
        primal = op if op.phase != "backward" else primal_of(trace, op)
        wanted = [*op.operands, *op.results]
        if primal is not None:
            wanted += [*primal.operands, *primal.results]
    if leaf is not None:
        wanted.append(leaf.value)
    arrays = fetch(dict.fromkeys(wanted))
    return Evidence(
        trace, op, primal, leaf, arrays, fetch, loss_finite, ranges, finite_wider, earlier
    )
