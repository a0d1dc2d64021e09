"""What an eager step sets beside its variables, and how it is put back."""

from __future__ import annotations

import collections
import random

import keras
import numpy as np

from stayfinite.frameworks.keras.model_subject import KerasModel
from stayfinite.frameworks.keras.own_values import OwnValues


class Schedule:
    def __init__(self):
        self.weight = 0.5

    def step(self):
        self.weight *= 0.9


class Counting(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.num_calls, self.schedule = 0, Schedule()
        self.seen, self.recent, self.named = [], collections.deque([1], maxlen=2), {"a": 1}
        self.mean, self.rng = np.zeros(3), np.random.default_rng(0)

    def call(self, x):
        self.num_calls += 1
        self.schedule.step()
        self.seen.append(self.num_calls)
        self.recent.extend([self.num_calls, self.num_calls + 1])
        self.named["b"] = self.num_calls
        self.mean += self.rng.normal() + np.random.uniform() + random.random()
        self.last = 2.0
        return x


def own_values(layer):
    model = keras.Sequential([layer])
    model.compile("sgd", "mse")
    return OwnValues(KerasModel(model))


def values_of(layer):
    lists = list(layer.seen), list(layer.recent), dict(layer.named)
    return layer.num_calls, layer.schedule.weight, *lists, layer.mean.tolist(), layer.rng.random()


def test_what_a_step_sets_is_put_back():
    layer, other = Counting(), Counting()
    x = np.ones((2, 3), "float32")
    own = own_values(layer)
    mean = layer.mean
    with own.kept():
        layer(x)
        drawn = layer.mean.copy()
    assert layer.mean is mean
    with own.kept():
        layer(x)
        assert layer.mean.tolist() == drawn.tolist()  # the same random numbers
    assert values_of(layer) == values_of(other)
    assert not hasattr(layer, "last")
