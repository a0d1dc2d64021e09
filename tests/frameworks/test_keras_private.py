"""Each name that every backend uses from inside Keras, by what it is used for."""

from __future__ import annotations

import contextlib
import re

import keras
import numpy as np
import pytest

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.keras import calls as keras_calls
from stayfinite.frameworks.keras import optimizer_settings, running_fit
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.model_subject import KerasModel, optimizers_of


def model_with(**optimizers):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    for name, optimizer in optimizers.items():
        setattr(model, name, optimizer)
    return model


def test_hooks_of_apply_reach_every_optimizer():
    assert issubclass(keras.optimizers.Optimizer, keras_private.BaseOptimizer)
    assert "apply" in vars(keras_private.BaseOptimizer)
    assert "apply" in vars(keras_private.LossScaleOptimizer)
    for name in ("Adam", "SGD", "RMSprop", "Muon"):
        if hasattr(keras.optimizers, name):
            kind = getattr(keras.optimizers, name)
            assert keras_private.owner_of(kind, "apply") is keras_private.BaseOptimizer


def test_a_missing_private_name_is_one_clear_error():
    message = rf"Keras {re.escape(keras.__version__)} has no `Sequential\._nowhere`"
    with pytest.raises(CannotGuardError, match=message):
        keras_private.required(keras.Sequential(), "_nowhere")
    with pytest.raises(CannotGuardError, match=message):
        keras_private.owner_of(keras.Sequential, "_nowhere")


def test_variables_of_an_optimizer_are_those_it_was_built_for():
    model = model_with()
    model.optimizer.build(model.trainable_variables)
    found = keras_private.variables_of(model.optimizer)
    assert [id(v) for v in found] == [id(v) for v in model.trainable_variables]


def test_learning_rate_as_it_was_set():
    schedules = keras.optimizers.schedules
    own = type("Own", (schedules.ExponentialDecay,), {})
    for rate, is_schedule in (
        (schedules.ExponentialDecay(0.1, 10, 0.9), True),
        (own(0.1, 10, 0.9), False),
        (lambda: 0.1, False),
    ):
        assert keras_private.learning_rate_of(keras.optimizers.SGD(rate)) is rate
        assert keras_private.is_keras_schedule(rate) == is_schedule
    assert isinstance(keras_private.learning_rate_of(keras.optimizers.SGD(0.1)), keras.Variable)


def test_constraints_are_off_inside_the_block_only():
    model = model_with()
    (kernel, bias) = model.trainable_variables
    kernel.constraint = keras.constraints.NonNeg()
    with optimizer_settings.settings(KerasModel(model), {"constraint": None}):
        assert kernel.constraint is None
    assert isinstance(kernel.constraint, keras.constraints.NonNeg)
    assert bias.constraint is None


class Samples(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return np.ones((4, 2), "float32"), np.ones((4, 1), "float32")


def test_data_set_at_work_is_that_of_fit():
    class Looks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(running_fit.dataset_at_work())

    data, seen = Samples(), []
    model = model_with()
    for given in (data, None):
        x = np.ones((4, 2), "float32")
        arguments = {"x": given} if given is not None else {"x": x, "y": x[:, :1]}
        model.fit(**arguments, verbose=0, callbacks=[Looks()])
    assert [one is data for one in seen] == [True, False]
    assert seen[1] is None
    assert running_fit.dataset_at_work() is None


def test_callbacks_at_work_are_the_list_of_fit():
    class Looks(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(running_fit.callbacks_at_work())

    seen, looks = [], Looks()
    x = np.ones((4, 2), "float32")
    model_with().fit(x, x[:, :1], verbose=0, callbacks=[looks])
    assert looks in seen[0].callbacks
    assert running_fit.callbacks_at_work() is None


def test_layers_inside_layers_are_found():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="inside")])
    names = [layer.name for layer in keras_private.flatten_layers(keras.Sequential([inner]))]
    assert "inside" in names


def test_every_optimizer_of_a_model_is_found_once():
    judge = keras.optimizers.Adam()
    model = model_with(judge=judge)
    assert optimizers_of(model) == [model.optimizer, judge]


def test_optimizer_inside_a_scaling_one_is_not_counted_again():
    inner = keras.optimizers.Adam()
    outer = keras.optimizers.LossScaleOptimizer(inner)
    found = optimizers_of(model_with(outer=outer, inner=inner))
    assert [o for o in found if o is inner] == []
    assert outer in found


@pytest.mark.parametrize("scaled", [False, True])
def test_learning_rate_is_scaled_inside_the_block_only(scaled):
    inner = keras.optimizers.SGD(0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner) if scaled else inner
    with optimizer_settings.scaled_learning_rate(optimizer, 0.1):
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
