"""Value and gradients of a function on whichever backend Keras runs, as NumPy arrays."""

import keras
import numpy as np


def value_and_gradients(function, *arrays, dtype="float32"):
    """The value of `function(*arrays)` and the gradients of its sum, in the dtype of the inputs."""
    backend = keras.backend.backend()
    inputs = [keras.ops.convert_to_tensor(array, dtype=dtype) for array in arrays]
    value, gradients = _COMPUTE[backend](function, inputs)
    return _numpy(value), [_numpy(gradient) for gradient in gradients]


def _jax(function, inputs):
    import jax

    def total(inputs):
        value = function(*inputs)
        return value.sum(), value

    # Compiled, as in training: the compiler may contract and reorder what it is given.
    gradients, value = jax.jit(jax.grad(total, has_aux=True))(inputs)
    return value, gradients


def _tensorflow(function, inputs):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = function(*inputs)
        total = tf.reduce_sum(value)
    return value, tape.gradient(total, inputs)


def _torch(function, inputs):
    import torch

    inputs = [tensor.clone().requires_grad_() for tensor in inputs]
    value = function(*inputs)
    gradients = torch.autograd.grad(value.sum(), inputs)
    return value, gradients


_COMPUTE = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}


def _numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
