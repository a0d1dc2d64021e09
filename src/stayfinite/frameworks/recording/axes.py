"""The axis of each value that runs over the samples of the batch, found by changing their number.

The step is run once more with another number of samples. If the size of exactly one axis changes
with it, that axis is the batch. No table of ops is needed, not even for ops that mix samples.
"""

from __future__ import annotations

from collections.abc import Sequence

from stayfinite.frameworks.recording.recording import RecordedOp, Shape


def other_size(samples: int) -> int:
    """Samples for the second run: fewer where two would be left, since one sample may broadcast."""
    return samples - 1 if samples > 2 else samples + 1


def batch_axes(
    ops: Sequence[RecordedOp],
    shapes: Sequence[Shape],
    leaves: dict[int, int],
    samples: int,
    others: Sequence[Shape],
) -> dict[int, int]:
    """Value number to batch axis, for the values that have one.

    Args:
        ops: The recorded ops.
        shapes: Shape of each value with `samples` samples.
        leaves: Axes of the arrays of the batch.
        samples: Samples of the batch.
        others: Shapes of the same values in the second run, as far as that came: it may stop
            where the backward pass begins, or be empty where the step takes no other number.
    """
    axes = dict(leaves)
    for op in ops:
        for result in op.results:
            shape = shapes[result].shape
            if result < len(others):
                axis = changed_axis(shape, others[result].shape, samples)
            elif op.forward is not None:
                axis = _like(shape, ops[op.forward], shapes, axes)
            else:
                axis = _inherited(op, shape, axes, samples)
            if axis is not None:
                axes[result] = axis
    return axes


def changed_axis(shape: tuple[int, ...], other: tuple[int, ...], samples: int) -> int | None:
    """The axis that had `samples` elements and has another number of them in `other`."""
    if len(shape) != len(other):
        return None
    differing = [d for d, (one, two) in enumerate(zip(shape, other, strict=True)) if one != two]
    return differing[0] if differing and shape[differing[0]] == samples else None


def _like(
    shape: tuple[int, ...], forward: RecordedOp, shapes: Sequence[Shape], axes: dict[int, int]
) -> int | None:
    """A derivative has the axis of the forward value of its own shape."""
    for value in (*forward.results, *forward.operands):
        if value in axes and shapes[value].shape == shape:
            return axes[value]
    return None


def _inherited(
    op: RecordedOp, shape: tuple[int, ...], axes: dict[int, int], samples: int
) -> int | None:
    for operand in op.operands:
        axis = axes.get(operand)
        if axis is not None and axis < len(shape) and shape[axis] == samples:
            return axis
    return None
