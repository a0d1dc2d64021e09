"""A recording as the neutral `Graph`."""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.keras.calls import layer_path
from stayfinite.frameworks.recording.engine import Marks
from stayfinite.frameworks.recording.locate import locate
from stayfinite.frameworks.recording.phases import phases
from stayfinite.frameworks.recording.places import Place
from stayfinite.frameworks.recording.recording import Recorded, Recording
from stayfinite.graph.graph import Graph, Leaf, Op, Value


def translate(
    model: Any, recording: Recording, marks: Marks, axes: dict[int, int], num_samples: int | None
) -> Graph:
    """The trace of a recorded step; `axes` maps values to their batch axis."""
    leaves = {n: Leaf(n, role, name) for n, (role, name) in recording.leaves.items()}
    statistics = {leaf.name for leaf in leaves.values() if leaf.role == "statistics"}
    ops = recording.ops
    phase_of = phases(
        ops,
        is_backward=lambda index: ops[index].backward,
        observed=marks.observed if marks.loss is None else (marks.loss, *marks.observed),
        gradients=marks.gradients.values(),
        statistics=[value for name, value in marks.new_state.items() if name in statistics],
    )
    located: dict[int, tuple[Any, ...]] = {}

    def op_of(index: int, recorded: Recorded) -> Op:
        place = recorded.place
        if id(place) not in located:
            located[id(place)] = _located(model, place)
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
            owner=owner,
        )

    return Graph(
        ops=[op_of(index, recorded) for index, recorded in enumerate(ops)],
        values={
            number: Value(number, shape.shape, shape.dtype, axes.get(number))
            for number, shape in enumerate(recording.shapes)
        },
        leaves=leaves,
        constants=recording.constants,
        loss=marks.loss,
        gradients=marks.gradients,
        new_state=marks.new_state,
        num_samples=num_samples,
    )


def _located(model: Any, place: Place) -> tuple[Any, ...]:
    chain = list(place.chain)
    return layer_path(model, chain), *locate(place.stack, place.in_library_object, chain)
