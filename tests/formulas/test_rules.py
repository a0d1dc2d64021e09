"""The gradients of the installed framework where frameworks differ: the emulation has the same."""

from math import inf, nan

import keras
import numpy as np
import pytest
from keras import ops

from stayfinite.repair.engine.evaluate import FLOATING, Evaluation
from stayfinite.repair.formula import LeafRole, constant, leaf, node

BACKEND = keras.backend.backend()
REDUCING = ("logsumexp", "max", "norm", "prod", "std", "var")
ELEMENTWISE = [
    # operation, operands, adjoint
    ("divide", (1e-30, 1e-25), 1.0),
    ("divide", (1.0, 1e22), 1.0),
    ("divide", (0.0, 0.0), 1.0),
    ("divide", (1.0, 0.0), 0.0),
    ("power", (0.0, 0.0), 1.0),
    ("power", (0.0, 0.5), 1.0),
    ("power", (0.0, 1.0), 1.0),
    ("power", (0.0, 2.0), 1.0),
    ("power", (-2.0, 2.0), 1.0),
    ("power", (-2.0, 0.5), 1.0),
    ("maximum", (1.0, 1.0), 1.0),
    ("maximum", (1.0, 2.0), nan),
    ("maximum", (1.0, 2.0), inf),
    ("minimum", (1.0, 1.0), 1.0),
    ("relu", (-1.0,), nan),
    ("relu", (-1.0,), inf),
    ("relu", (0.0,), 1.0),
    ("softplus", (25.0,), 1.0),
    ("softplus", (-60.0,), 1.0),
    ("softplus", (10.0,), 1.0),
    ("logaddexp", (-inf, -inf), 1.0),
    ("logaddexp", (-inf, 0.0), 1.0),
    ("logaddexp", (0.0, 0.0), 1.0),
    ("logaddexp", (200.0, -3.0), 1.0),
    ("sqrt", (0.0,), 1.0),
    ("sqrt", (0.0,), 0.0),
    ("abs", (0.0,), 1.0),
    ("log", (0.0,), 0.0),
    ("log", (0.0,), 1.0),
    ("sigmoid", (20.0,), 1.0),
    ("sigmoid", (-60.0,), 1.0),
    ("tanh", (10.0,), 1.0),
    ("log_sigmoid", (-90.0,), 1.0),
    ("log_sigmoid", (60.0,), 1.0),
    ("expm1", (1e-8,), 1.0),
    ("square", (0.0,), inf),
    ("clip", (2.0,), nan),
    ("clip", (1.0,), 1.0),
    ("rsqrt", (1e30,), 1.0),
    ("reciprocal", (1e-25,), 1.0),
    ("exp", (-110.0,), 1.0),
    ("arccos", (1.0,), 1.0),
    ("where", (1.0, 0.0), nan),
]
REDUCED = [
    ("prod", (0.0, 2.0, 3.0)),
    ("prod", (0.0, 0.0, 3.0)),
    ("max", (1.0, 1.0, 0.0)),
    ("norm", (0.0, 0.0)),
    ("norm", (3e25, 4e25)),
    ("norm", (3e-25, 4e-25)),
    ("std", (1.0, 1.0)),
    ("logsumexp", (-inf, -inf)),
    ("logsumexp", (100.0, -10.0)),
]


def in_keras(op, *x):
    if op in REDUCING:
        return getattr(ops, op)(x[0], axis=-1)
    if op == "clip":
        return ops.clip(x[0], 0.0, 1.0)
    if op == "where":
        return ops.where(ops.convert_to_tensor(True), *x)
    return getattr(ops, op)(*x)


def formula(op, leaves):
    if op in REDUCING:
        return node(op, leaves[0], axis=(0,), keepdims=False)
    if op == "clip":
        return node(op, leaves[0], constant(0.0), constant(1.0))
    return node(op, *([constant(True)] if op == "where" else []), *leaves)


def gradients(op, operands, adjoint):
    """Value and gradients in the framework itself."""
    arrays = [np.asarray(x, "float32") for x in operands]
    if BACKEND == "jax":
        import jax

        value, back = jax.vjp(lambda *x: in_keras(op, *x), *map(jax.numpy.asarray, arrays))
        return value, back(jax.numpy.full_like(value, adjoint))
    if BACKEND == "torch":
        import torch

        tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
        value = in_keras(op, *tensors)
        value.backward(torch.full_like(value, adjoint))
        return value.detach(), [x.grad for x in tensors]
    import tensorflow as tf

    tensors = [tf.constant(x) for x in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = in_keras(op, *tensors)
    return value, tape.gradient(value, tensors, tf.fill(tf.shape(value), adjoint))


@pytest.mark.parametrize(
    "op, operands, adjoint",
    [*ELEMENTWISE, *((op, [x], 1.0) for op, x in REDUCED)],
    ids=lambda x: str(x).replace(" ", ""),
)
def test_value_and_gradient_are_those_of_the_framework(op, operands, adjoint):
    value, found = gradients(op, operands, adjoint)
    leaves = [leaf(name, LeafRole.VARIABLE) for name, _ in zip("ab", operands, strict=False)]
    values = {x: np.asarray(v, "float32") for x, v in zip(leaves, operands, strict=True)}
    evaluation = Evaluation(FLOATING[BACKEND], values)
    root = formula(op, leaves)
    # Some devices keep subnormal numbers, others set them to 0.
    same = {"rtol": 1e-3, "atol": 1.2e-38, "equal_nan": True}
    ours = evaluation.value(root)
    np.testing.assert_allclose(ours, np.asarray(value), **same)
    seed = np.full(np.shape(ours), adjoint, "float32")
    for x, want in zip(leaves, found, strict=True):
        np.testing.assert_allclose(
            evaluation.gradients(root, seed, leaves)[x], np.asarray(want), **same
        )
