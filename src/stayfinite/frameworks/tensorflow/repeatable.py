"""Which compiled steps give the same numbers when they are made again on the same state."""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.tensorflow import private

# The first letters of the ops whose result depends on something outside the state: generators of
# random numbers that TensorFlow itself keeps, and calls of Python.
_OTHER_STATE = (
    "Random",
    "TruncatedNormal",
    "ParameterizedTruncatedNormal",
    "Multinomial",
    "Rng",
    "Stateful",
    "PyFunc",
    "EagerPyFunc",
)
_CALL = "StatefulPartitionedCall"


def is_repeatable(graph: Any) -> bool:
    """Whether a compiled step has no op of such kinds. `graph` is its `GraphDef`."""
    nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
    kinds = {node.op for node in nodes} - {_CALL}
    return not any(kind.startswith(_OTHER_STATE) for kind in kinds)


def is_on_cpu(subject: Subject) -> bool:
    """Whether the state of a training is in the memory of the host."""
    variables = [private.raw(variable) for group in state_variables(subject) for variable in group]
    return all("CPU" in variable.device for variable in variables)
