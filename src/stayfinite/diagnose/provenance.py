"""Where the critical value came from: samples, layers, and equal operands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stayfinite.diagnose.values import Values, as_float
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.source import expression_text
from stayfinite.graph.walk import upstream

# Outputs of layers that are checked.
_MAX_ARRAYS = 40


@dataclass(frozen=True)
class EqualSides:
    """`text` is a difference whose two sides are equal in the samples."""

    text: str


@dataclass(frozen=True)
class ZeroOutputs:
    """All `num_outputs` outputs of `layer` are 0 in the samples."""

    layer: str
    num_outputs: int


@dataclass(frozen=True)
class SameInputs:
    """The inputs `names` hold the same data in the samples."""

    names: tuple[str, ...]


ProvenanceFact = EqualSides | ZeroOutputs | SameInputs


def facts(
    trace: Graph, value: int, samples: tuple[int, ...], values: Values
) -> list[ProvenanceFact]:
    """What is special about `samples` upstream of `value`, nearest first."""
    behind = list(upstream(trace, value))
    differences = [op for op in behind if op.name == "subtract" and _per_sample(trace, op)][:4]
    outputs = [op for op in behind if _leaves_layer(trace, op) and _per_sample(trace, op)]
    leaves = [leaf for leaf in trace.leaves.values() if leaf.role == "input"]
    wanted = [v for op in differences for v in op.operands]
    wanted += [op.results[0] for op in outputs[:_MAX_ARRAYS]]
    values.load([*wanted, *(leaf.value for leaf in leaves)])
    found: list[ProvenanceFact] = []
    for op in differences:
        fact = _equal_sides(trace, op, samples, values)
        if fact is not None and fact not in found:
            found.append(fact)
    zero = [op for op in outputs[:_MAX_ARRAYS] if _is_zero(trace, op.results[0], samples, values)]
    if zero:
        found.extend(_zero_outputs(trace, zero, samples, values))
    same = _same_inputs([(leaf.name, values[leaf.value]) for leaf in leaves], samples)
    return [*found, same] if same is not None else found


def _per_sample(trace: Graph, op: Op) -> bool:
    return trace.values[op.results[0]].batch_axis is not None


def _leaves_layer(trace: Graph, op: Op) -> bool:
    if op.layer is None or op.phase == "backward":
        return False  # the derivative of a layer, as in the penalty of a gradient, is no output
    consumers = trace.consumers.get(op.results[0], [])
    return any(c.layer != op.layer and c.phase == "forward" for c in consumers)


def _in_samples(
    trace: Graph, value: int, samples: tuple[int, ...], values: Values
) -> np.ndarray | None:
    axis = trace.values[value].batch_axis
    array = values[value]
    if axis is None or array.ndim <= axis or max(samples) >= array.shape[axis]:
        return None
    return as_float(np.take(array, samples, axis=axis))


def _equal_sides(
    trace: Graph, op: Op, samples: tuple[int, ...], values: Values
) -> EqualSides | None:
    left, right = (_in_samples(trace, v, samples, values) for v in op.operands)
    # The span of an op in a library object is the line that made the object, no difference.
    text = None if op.span is None or op.owner is not None else expression_text(op.span)
    if left is None or right is None or left.shape != right.shape or text is None:
        return None
    return EqualSides(text) if np.array_equal(left, right) else None


def _is_zero(trace: Graph, value: int, samples: tuple[int, ...], values: Values) -> bool:
    taken = _in_samples(trace, value, samples, values)
    return taken is not None and taken.size > 0 and not taken.any()


def _zero_outputs(
    trace: Graph, zero: list[Op], samples: tuple[int, ...], values: Values
) -> list[ZeroOutputs]:
    # The zeros began in the layer farthest upstream; later layers pass them on.
    origins = [op for op in zero if not any(_feeds(trace, other, op) for other in zero)]
    found: dict[str, ZeroOutputs] = {}
    for op in origins:
        assert op.layer is not None
        taken = _in_samples(trace, op.results[0], samples, values)
        assert taken is not None
        found.setdefault(op.layer, ZeroOutputs(op.layer, taken.size // len(samples)))
    return list(found.values())


def _feeds(trace: Graph, earlier: Op, later: Op) -> bool:
    if earlier is later:
        return False
    return any(op is earlier for op in upstream(trace, later.results[0]))


def _same_inputs(
    inputs: list[tuple[str, np.ndarray]], samples: tuple[int, ...]
) -> SameInputs | None:
    """Of rows only: a number of one input is often that of another by chance."""
    for position, (name, array) in enumerate(inputs):
        same = [
            other_name
            for other_name, other in inputs[position + 1 :]
            if array.ndim > 1
            and other.shape == array.shape
            and max(samples) < len(array)
            and np.array_equal(array[list(samples)], other[list(samples)])
        ]
        if same:
            return SameInputs((name, *same))
    return None
