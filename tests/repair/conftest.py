"""What libraries offer is read from loaded modules: JAX is loaded where it is installed."""

import importlib.util

import pytest

from tests.repair.helpers import fake_module

if importlib.util.find_spec("jax") is not None:
    importlib.import_module("jax.nn")
    importlib.import_module("jax.numpy")


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
