"""A recording as the neutral `Graph`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stayfinite.frameworks.recording.engine import OutputNumbers
from stayfinite.frameworks.recording.phases import phases
from stayfinite.frameworks.recording.places import Place, locate
from stayfinite.frameworks.recording.recording import RecordedOp, Recording
from stayfinite.graph.graph import Graph, Leaf, Op, Value

# The layer that a chain of library objects leads to: `Subject.layer_path`.
LayerPath = Callable[[Sequence[object]], str | None]

# TensorFlow's `SqrtGrad` is recorded as `sqrt_grad`, PyTorch's `tanh_backward` under its own name.
_DERIVATIVES = ("_grad", "_backward")


def translate(
    layer_path: LayerPath,
    recording: Recording,
    outputs: OutputNumbers,
    axes: dict[int, int],
    num_samples: int | None,
) -> Graph:
    """The trace of a recorded step; `axes` maps values to their batch axis."""
    leaves = {n: Leaf(n, role, name) for n, (role, name) in recording.leaves.items()}
    statistics = {leaf.name for leaf in leaves.values() if leaf.role == "statistics"}
    ops = recording.ops
    phase_of = phases(
        ops,
        is_backward=lambda index: ops[index].backward,
        observed=_observed(ops, outputs),
        gradients=outputs.gradients.values(),
        statistics=[value for name, value in outputs.new_state.items() if name in statistics],
    )
    located: dict[int, tuple[Any, ...]] = {}

    def op_of(index: int, recorded: RecordedOp) -> Op:
        place = recorded.place
        if id(place) not in located:
            located[id(place)] = _located(layer_path, place)
        layer, span, stack, owner = located[id(place)]
        return Op(
            index=index,
            name=recorded.name,
            phase=phase_of[index],
            operands=recorded.operands,
            results=recorded.results,
            layer=layer,
            span=span,
            stack=stack,
            differentiates=recorded.forward,
            is_derivative=recorded.name.endswith(_DERIVATIVES),
            owner=owner,
            library=place.library,
            callers=place.stack,
        )

    return Graph(
        ops=[op_of(index, recorded) for index, recorded in enumerate(ops)],
        values={
            number: Value(number, shape.shape, shape.dtype, axes.get(number))
            for number, shape in enumerate(recording.shapes)
        },
        leaves=leaves,
        constants=recording.constants,
        loss=outputs.loss,
        gradients=outputs.gradients,
        new_state=outputs.new_state,
        num_samples=num_samples,
        observed=outputs.observed,
    )


def _observed(ops: Sequence[RecordedOp], outputs: OutputNumbers) -> list[int]:
    """The values whose computation is the forward pass.

    A function that returns gradients, as those of `torch.func`, does not tell the loss. There it is
    what was computed before the first derivative.
    """
    if outputs.loss is not None:
        return [outputs.loss, *outputs.observed]
    if outputs.observed:
        return list(outputs.observed)
    first = next((index for index, op in enumerate(ops) if op.backward), 0)
    return [result for op in ops[:first] for result in op.results]


def _located(layer_path: LayerPath, place: Place) -> tuple[Any, ...]:
    chain = list(place.chain)
    return layer_path(chain), *locate(place.stack, place.in_library_object, chain)
