"""One root of the failure with its arrays, in which a cause is recognised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from stayfinite.diagnose.values import Values, as_float
from stayfinite.graph.graph import Graph, Leaf, Op
from stayfinite.graph.walk import function_differentiated_inside, primal_of

StateArrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Earlier:
    """The same step on the same batch, with the state of `num_steps` steps before.

    `fetch` gives the arrays of that run under the numbers of the failing one; None where the step
    could not be run on that state. `updated` makes one step from the state now, with some of its
    arrays replaced, on the failing batch and on a few healthy ones; it returns the state after
    each, by name.
    """

    num_steps: int
    fetch: Callable[[Iterable[int]], dict[int, np.ndarray] | None] = field(repr=False)
    updated: Callable[[StateArrays], list[StateArrays]] = field(
        default=lambda arrays: [], repr=False
    )


@dataclass(frozen=True)
class Evidence:
    """One root of the failure, with arrays.

    Args:
        trace: The graph of the step.
        op: The op that made the first bad value; None where that is `leaf`.
        primal: The forward op that `op` differentiates; `op` itself in the forward pass.
        leaf: The bad input; None where there is an `op`.
        values: The arrays of the step. Operands and results of `op` and `primal`, and the array of
            `leaf`, are loaded.
        loss_finite: Whether the loss was finite.
        ranges: The largest magnitude in healthy batches, by the name of the array of the batch.
        finite_wider: Runs the step in float64; returns whether it was finite.
        earlier: The step with an earlier state, where one is known.
    """

    trace: Graph
    op: Op | None
    primal: Op | None
    leaf: Leaf | None
    values: Values = field(repr=False)
    loss_finite: bool = False
    ranges: dict[str, float] = field(default_factory=dict)
    finite_wider: Callable[[], bool] = field(default=lambda: False, repr=False)
    earlier: Earlier | None = None

    @property
    def forward_op(self) -> Op | None:
        """The op at fault as the user wrote it: of a derivative, the forward op."""
        return self.primal or self.op

    def bad(self, value: int) -> np.ndarray:
        """Which elements of a loaded value are not finite."""
        mask: np.ndarray = ~np.isfinite(as_float(self.values[value]))
        return mask

    def results_of(self, op: Op) -> np.ndarray:
        """The first result of `op`, loaded before."""
        return self.values[op.results[0]]

    def operand(self, op: Op, position: int) -> np.ndarray:
        """A loaded operand of `op`, broadcast to the shape of its result if possible."""
        array = self.values[op.operands[position]]
        shape = self.results_of(op).shape
        try:
            return np.broadcast_to(array, shape)
        except ValueError:
            return array

    def samples(self, value: int, mask: np.ndarray) -> tuple[int, ...] | None:
        """The samples of the batch that the elements under `mask` belong to; None if not known."""
        axis = self.trace.values[value].batch_axis
        if axis is None or mask.ndim <= axis:
            return None
        others = tuple(d for d in range(mask.ndim) if d != axis)
        return tuple(int(sample) for sample in np.flatnonzero(mask.any(axis=others)))

    def steps_since_finite(self, value: int) -> int | None:
        """How many steps before, `value` was finite; None where that is not known."""
        before = None if self.earlier is None else self.earlier.fetch([value])
        if self.earlier is None or before is None or not np.isfinite(as_float(before[value])).all():
            return None
        return self.earlier.num_steps

    def dtype(self, value: int) -> str:
        """The dtype of a value."""
        return self.trace.values[value].dtype


def gather(
    trace: Graph,
    op: Op | None,
    leaf: Leaf | None,
    values: Values,
    *,
    loss_finite: bool,
    ranges: dict[str, float],
    finite_wider: Callable[[], bool] = lambda: False,
    earlier: Earlier | None = None,
) -> Evidence:
    """The evidence at one root, with the arrays around it loaded in one run of the step.

    Args:
        trace: The graph of the step.
        op: The root, or None where it is `leaf`.
        leaf: The root, or None where it is `op`.
        values: The arrays of the step.
        loss_finite: Whether the loss was finite.
        ranges: The largest magnitude in healthy batches, by the name of the array of the batch.
        finite_wider: Runs the step in float64; returns whether it was finite.
        earlier: The step with an earlier state; None if none is known.
    """
    primal: Op | None = None
    wanted: list[int] = []
    if op is not None:
        # The loss may be computed from a derivative, as that of a differential equation.
        inner = function_differentiated_inside(trace, op)
        if inner is not None:
            op = dataclasses.replace(op, phase="backward", differentiates=inner.index)
        primal = op if op.phase != "backward" else primal_of(trace, op)
        wanted = [*op.operands, *op.results]
        if primal is not None:
            wanted += [*primal.operands, *primal.results]
    if leaf is not None:
        wanted.append(leaf.value)
    values.load(wanted)
    return Evidence(trace, op, primal, leaf, values, loss_finite, ranges, finite_wider, earlier)
