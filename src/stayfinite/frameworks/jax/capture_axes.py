"""Which axis of each value runs over the samples of the batch.

Seen by tracing the step once more with another number of samples, where that is quick; else
followed through the program from the batch's own leading axis, so that an element of any value
can be traced to the samples it belongs to. Where an op mixes samples, or is not known here, the
axis is None.
"""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.jax.capture_program import Equation, JaxProgram
from stayfinite.frameworks.recording.axes import changed_axis

_REDUCTIONS = {
    "reduce_sum",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "reduce_and",
    "reduce_or",
    "argmax",
    "argmin",
}


def axes_by_size(program: JaxProgram, other: JaxProgram, samples: int) -> dict[int, int] | None:
    """Value number to batch axis, from the same program on another number of samples.

    None where the two are not the same op by op, as where a shape decides what is computed.
    """
    names = [equation.primitive.name for equation in program.equations]
    if names != [equation.primitive.name for equation in other.equations]:
        return None
    axes: dict[int, int] = {}
    for number, aval in program.avals.items():
        if number not in other.avals:
            return None
        axis = changed_axis(tuple(aval.shape), tuple(other.avals[number].shape), samples)
        if axis is not None:
            axes[number] = axis
    return axes


def batch_axes(program: JaxProgram, batch_inputs: list[int]) -> dict[int, int]:
    """Value number to batch axis, for the values that have one."""
    axes = {value: 0 for value in batch_inputs if program.avals[value].shape}
    for equation in program.equations:
        known = [axes.get(operand) for operand in equation.operands]
        if all(axis is None for axis in known):
            continue
        for result in equation.results:
            axis = _axis(program, equation, known, result)
            if axis is not None:
                axes[result] = axis
    return axes


def _axis(
    program: JaxProgram, equation: Equation, known: list[int | None], result: int
) -> int | None:
    name, params = equation.primitive.name, equation.params
    shape = program.avals[result].shape
    shapes = [program.avals[operand].shape for operand in equation.operands]
    position = next(i for i, axis in enumerate(known) if axis is not None)
    axis = known[position]
    assert axis is not None
    if name in _REDUCTIONS:
        return _after_removing(axis, params["axes"])
    if name == "squeeze":
        return _after_removing(axis, params["dimensions"])
    if name == "broadcast_in_dim":
        target: int = params["broadcast_dimensions"][axis]
        return target if shape[target] == shapes[position][axis] else None
    if name == "transpose":
        return list(params["permutation"]).index(axis)
    if name == "reshape":
        return _after_reshape(shapes[position], axis, shape)
    if name == "dot_general":
        return _after_dot(params["dimension_numbers"], known, shapes)
    if name == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        same = position == 0 and axis == numbers.lhs_spec[0]
        return numbers.out_spec[0] if same else None
    if name == "gather":
        return _after_gather(params["dimension_numbers"], known, shapes)
    samples = shapes[position][axis]
    return axis if axis < len(shape) and shape[axis] == samples else None


def _after_removing(axis: int, removed: Any) -> int | None:
    if axis in removed:
        return None
    return axis - sum(1 for other in removed if other < axis)


def _after_reshape(old: tuple[int, ...], axis: int, new: tuple[int, ...]) -> int | None:
    before = 1
    for size in old[:axis]:
        before *= size
    seen = 1
    for position, size in enumerate(new):
        if seen == before and size == old[axis]:
            return position
        seen *= size
    return None


def _after_dot(numbers: Any, known: list[int | None], shapes: list[tuple[int, ...]]) -> int | None:
    contracting, batch = numbers
    for side, axis in enumerate(known[:2]):
        if axis is None or axis in contracting[side]:
            continue
        if axis in batch[side]:
            return list(batch[side]).index(axis)
        free = [
            d
            for d in range(len(shapes[side]))
            if d not in contracting[side] and d not in batch[side]
        ]
        offset = len(batch[0])
        if side == 1:
            offset += len(shapes[0]) - len(contracting[0]) - len(batch[0])
        return offset + free.index(axis)
    return None


def _after_gather(
    numbers: Any, known: list[int | None], shapes: list[tuple[int, ...]]
) -> int | None:
    # Only the common look-up is followed: samples of the batch index a table or their own sample.
    if known[1] is None or known[1] == len(shapes[1]) - 1:
        return None
    kept = [d for d in range(len(shapes[1]) - 1 + len(numbers.offset_dims))]
    indexed = [d for d in kept if d not in numbers.offset_dims]
    return indexed[known[1]] if known[1] < len(indexed) else None
