"""The repairs are tried with Keras on JAX; what libraries offer is read from loaded modules."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax.nn  # noqa: E402  keras reads KERAS_BACKEND when it is imported
import jax.numpy  # noqa: E402, F401
import keras  # noqa: E402
import pytest

from tests.repair.helpers import fake_module


@pytest.fixture
def torch(monkeypatch):
    names = "abs clamp eq log_softmax logsumexp rsqrt sigmoid softmax sqrt square sum tanh var where"
    fake_module(monkeypatch, "torch", names)
    fake_module(monkeypatch, "torch.linalg", "norm vector_norm")
    fake_module(monkeypatch, "torch.nn", "")
    fake_module(monkeypatch, "torch.nn.functional", "softplus logsigmoid normalize softmax")


@pytest.fixture
def tensorflow(monkeypatch):
    names = "abs clip_by_value equal maximum minimum ones_like sigmoid sqrt square reduce_sum where"
    fake_module(monkeypatch, "tensorflow", names + " norm reduce_logsumexp tanh")
    fake_module(monkeypatch, "tensorflow.math", "log_sigmoid rsqrt softplus reduce_variance")
    fake_module(monkeypatch, "tensorflow.nn", "log_softmax softmax softplus l2_normalize")
