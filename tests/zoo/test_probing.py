"""What is recorded of one step of a loop without Keras."""

import sys

import keras
import numpy as np
import pytest

from zoo.gradients import VariableStore
from zoo.running import environment, run

TORCH = """
import torch

w = torch.tensor([1.0, 2.0], requires_grad=True)
other = torch.tensor([5.0], requires_grad=True)
one, two = torch.optim.SGD([w], lr=0.5), torch.optim.SGD([other], lr=0.5)
scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
for i in range(4):
    for part in range(2):
        scaler.scale((w * (i + part)).sum()).backward()
    if i == 1:
        w.grad[0] = torch.inf
    scaler.step(one)
    scaler.update()
    one.zero_grad()
    other.square().sum().backward()
    two.step()
    two.zero_grad()
"""
JAX = """
import jax
import jax.numpy as jnp


def train_step(w, count, x):
    loss, gradient = jax.value_and_grad(lambda w: jnp.sum(w * x))(w)
    return w - 0.5 * gradient, count + 1, loss


train_step = jax.jit(train_step)
w, count = jnp.array([1.0, 2.0]), 0
for i in range(4):
    w, count, loss = train_step(w, count, jnp.array([i, 2.0]))
"""


def probed(folder, backend, step, script):
    path = folder / "loop.py"
    path.write_text(script)
    module = f"zoo.probing_{backend.removeprefix('plain-')}"
    on = environment(backend, sys.executable)
    ran = run(["-m", module, str(step), "found.npz", path.name], on, folder)
    assert ran.exit_code == 0, ran.output
    with np.load(folder / "found.npz") as arrays:
        return {name: value.tolist() for name, value in arrays.items()}


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="of PyTorch")
def test_step_of_a_loop_over_pytorch(tmp_path):
    # Of eight steps, number 2 is skipped by the scaler. The losses of the accumulated parts add up.
    found = probed(tmp_path, "plain-torch", 4, TORCH)
    assert found == {
        "0/logs/loss": (2 + 3) * (0.5 + 1.5),
        "0/gradients/0": [5.0, 5.0],
        "0/before/0": [0.5, 1.5],
        "0/after/0": [-2.0, -1.0],
        "0/trainable": [True],
    }


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")
def test_step_of_a_loop_over_jax(tmp_path):
    found = probed(tmp_path, "plain-jax", 2, JAX)
    assert found == {
        "0/logs/loss1": 2 * 0.5 + 2 * 0.0,
        "0/gradients/1.0": [2.0, 2.0],
        "0/before/0": [0.5, 0.0],
        "0/before/1": [2.0, 2.0],
        "0/after/0": [-0.5, -1.0],
        "0/after/1": [2.0, 2.0],
        "0/trainable": [True, True],
    }


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
def test_gradient_whose_shape_is_known_in_part():
    """As that of an embedding in mixed precision, while the step is traced."""
    import tensorflow as tf

    store = VariableStore()
    step = tf.function(
        lambda gradient: store.keep("0", gradient),
        input_signature=[tf.TensorSpec((None, 2), tf.float16)],
    )
    step(tf.ones((3, 2), tf.float16))
    assert store.newest()["0"].tolist() == [[1.0, 1.0]] * 3
    store.clear()
    assert store.newest()["0"].tolist() == [[0.0, 0.0]] * 3
