"""The state of a training on TensorFlow: the values of its variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.tensorflow import private


def state_of(subject: Subject) -> State:
    """The present values. Tensors never change, so they are copies."""
    return State.of(
        [[value_of(private.raw(v)) for v in group] for group in state_variables(subject)]
    )


def value_of(variable: tf.Variable) -> Any:
    """The present value.

    `read_value` makes a second op, for another device than the variable's, and takes four times as
    long.
    """
    if isinstance(variable, tf.distribute.DistributedValues):
        return variable.read_value()  # only a replica has a handle
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)


def num_bytes_of(subject: Subject) -> int:
    """How much memory the state takes."""
    variables = [v for group in state_variables(subject) for v in group]
    return sum(size_of(private.raw(variable)) for variable in variables)


def size_of(variable: Any) -> int:
    """How many bytes a variable has."""
    return int(variable.shape.num_elements() * variable.dtype.size)


def store(subject: Subject, state: State) -> None:
    """Make `state` the values of the variables."""
    for variables, values in zip(state_variables(subject), state.groups, strict=True):
        for variable, value in zip(variables, values, strict=True):
            private.raw(variable).assign(value)


def numpy_of(tensor: Any) -> np.ndarray:
    """A tensor on the host; `IndexedSlices` as a dense array, a NumPy array as it is."""
    if isinstance(tensor, np.ndarray) or not tf.is_tensor(tensor):
        return np.asarray(tensor)
    return np.asarray(tf.convert_to_tensor(tensor).numpy())
