"""Each name that every backend uses from inside Keras, by what it is used for."""

from __future__ import annotations

import contextlib

import keras
import pytest

from stayfinite.frameworks.keras import calls as keras_calls
from stayfinite.frameworks.keras import private as keras_private


def model_with(**optimizers):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    for name, optimizer in optimizers.items():
        setattr(model, name, optimizer)
    return model


def test_optimizers_are_those_of_the_public_classes():
    assert issubclass(keras.optimizers.Optimizer, keras_private.BaseOptimizer)
    assert keras.optimizers.LossScaleOptimizer is keras_private.LossScaleOptimizer


def test_layers_inside_layers_are_found():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="inside")])
    names = [layer.name for layer in keras_private.flatten_layers(keras.Sequential([inner]))]
    assert "inside" in names


def test_every_optimizer_of_a_model_is_found_once():
    judge = keras.optimizers.Adam()
    model = model_with(judge=judge)
    assert keras_private.optimizers_of(model) == [model.optimizer, judge]


def test_optimizer_inside_a_scaling_one_is_not_counted_again():
    inner = keras.optimizers.Adam()
    outer = keras.optimizers.LossScaleOptimizer(inner)
    found = keras_private.optimizers_of(model_with(outer=outer, inner=inner))
    assert [o for o in found if o is inner] == []
    assert outer in found


@pytest.mark.parametrize("scaled", [False, True])
def test_learning_rate_is_scaled_inside_the_block_only(scaled):
    inner = keras.optimizers.SGD(0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner) if scaled else inner
    with keras_private.scaled_learning_rate(optimizer, 0.1):
        assert float(inner._get_current_learning_rate()) == pytest.approx(0.05)
    assert float(inner._get_current_learning_rate()) == 0.5


def test_calls_of_keras_objects_are_entered_and_left():
    entered = []

    @contextlib.contextmanager
    def scope(called):
        entered.append(called)
        yield

    layer = keras.layers.Dense(1)
    plain = keras.Layer.__call__
    with keras_calls.entered(scope):
        layer(keras.ops.ones((1, 2)))
    assert layer in entered
    assert keras.Layer.__call__ is plain
