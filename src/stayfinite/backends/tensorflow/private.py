"""Everything used from TensorFlow, and from Keras on TensorFlow, that is not public API.

`tests/backends/test_tensorflow_private.py` exercises each name, so a release that moves one of
them is named by the test that fails, not by a user's traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras.src.backend.tensorflow.core import Variable as KerasVariable
from keras.src.backend.tensorflow.trainer import TensorFlowTrainer

__all__ = [
    "KerasVariable",
    "TensorFlowTrainer",
    "is_written",
    "make_function",
    "raw",
]

# The attribute in which TensorFlow notes which resources a called function only reads.
_READ_ONLY = "_read_only_resource_inputs"
_READS = {"ReadVariableOp", "VarIsInitializedOp", "VariableShape", "ResourceGather"}


def raw(variable: Any) -> Any:
    """The `tf.Variable` itself, also where a dtype policy would cast what is read from it."""
    return variable._value if isinstance(variable, KerasVariable) else variable


def make_function(model: Any, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Keras's own train function around another step; each call makes one step."""
    function: Callable[[Any], Any] = TensorFlowTrainer._make_function(_OneStepAtATime(model), step)
    return function


class _OneStepAtATime:
    """A model to `_make_function`, but for `steps_per_execution`."""

    steps_per_execution = 1

    def __init__(self, model: Any) -> None:
        self.distribute_strategy = model.distribute_strategy
        self.run_eagerly = model.run_eagerly
        self.jit_compile = model.jit_compile
        self.unrolled_steps_per_execution = 1

    _autoconvert_optionals = TensorFlowTrainer._autoconvert_optionals


def is_written(graph: Any, variables: list[tf.Variable]) -> bool:
    """Whether an op of `graph` may write to one of `variables`.

    Args:
        graph: The graph of a function that is being traced.
        variables: The variables in question.
    """
    handles = {id(variable.handle) for variable in variables}
    resources = {id(inner) for outer, inner in graph.captures if id(outer) in handles}
    for op in graph.get_operations():
        if op.type in _READS:
            continue
        touched = {n for n, operand in enumerate(op.inputs) if id(operand) in resources}
        if not touched <= set(_read_only(op)):
            return True
    return False


def _read_only(op: Any) -> list[int]:
    try:
        return list(op.get_attr(_READ_ONLY))
    except ValueError:
        return []


def is_function(step: Any) -> bool:
    """Whether `tf.function` made it."""
    return hasattr(step, "python_function")


def is_xla(step: Any) -> bool:
    """Whether it is a `tf.function` that XLA compiles."""
    return bool(getattr(step, "_jit_compile", False))
