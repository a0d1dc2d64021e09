"""A loss of a graph, computed once more, so that nothing else reads the one of the program.

TensorFlow's optimizer of graphs joins `total + (a + b)` into one sum where `a + b` has no other
reader. One more reader of a loss so changes the last digits of the metric that sums it up.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# A loss is a few numbers of reductions put together; one of more operations is read as it is.
_MAX_OPERATIONS = 64


def computed_again(loss: Any, after: Any) -> Any:
    """The number `loss` by operations of its own, from the results of its reductions on.

    Args:
        loss: A tensor of the graph that is being built; one that is no number is returned as it is.
        after: A tensor that the operations wait for. Without it, TensorFlow would see that they
            compute the same, and keep one of both.
    """
    if tf.executing_eagerly() or not isinstance(loss, tf.Tensor):
        return loss
    chain = _scalar_operations(loss)
    if not chain:
        return loss
    copies: dict[Any, Any] = {}
    with tf.control_dependencies([after]):
        for operation in chain:
            inputs = [copies.get(each.ref(), each) for each in operation.inputs]
            copy = operation.graph.create_op(
                operation.type,
                inputs,
                [output.dtype for output in operation.outputs],
                attrs=dict(operation.node_def.attr),
                op_def=operation.op_def,
            )
            for output, same in zip(operation.outputs, copy.outputs, strict=True):
                copies[output.ref()] = same
    return copies[loss.ref()]


def _scalar_operations(loss: Any) -> list[Any]:
    """The operations on numbers alone that lead to `loss`, each after its operands."""
    graph = tf.compat.v1.get_default_graph()
    found: list[Any] = []
    seen: set[int] = set()

    def visit(operation: Any) -> None:
        if len(seen) > _MAX_OPERATIONS or id(operation) in seen:
            return
        if not _is_of_numbers(operation, graph):
            return
        seen.add(id(operation))
        for each in operation.inputs:
            visit(each.op)
        found.append(operation)

    visit(loss.op)
    return found if len(seen) <= _MAX_OPERATIONS else []


def _is_of_numbers(operation: Any, graph: Any) -> bool:
    """Whether an operation makes numbers of numbers, and does nothing else."""
    tensors = [*operation.inputs, *operation.outputs]
    calls = any(value.HasField("func") for value in operation.node_def.attr.values())
    return bool(
        operation.graph is graph
        and len(operation.inputs)
        and not calls
        and not operation.op_def.is_stateful
        and not operation.control_inputs
        and all(each.shape.rank == 0 for each in tensors)
    )
