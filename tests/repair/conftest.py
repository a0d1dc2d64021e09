"""The repairs are tried with Keras on JAX; what libraries offer is read from loaded modules."""

import importlib
import os

import pytest

from tests.repair.helpers import fake_module

os.environ.setdefault("KERAS_BACKEND", "jax")  # read when Keras is imported
for library in ("jax.nn", "jax.numpy", "keras"):
    importlib.import_module(library)


@pytest.fixture
def torch(monkeypatch):
    names = (
        "abs clamp eq log_softmax logsumexp ones_like rsqrt sigmoid softmax sqrt square sum tanh"
        " var where"
    )
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
