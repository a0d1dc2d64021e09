"""A number of the state that was changed between two steps: the policy "rollback" goes back."""

from __future__ import annotations

import functools
import json

import keras
import numpy as np
import pytest

import stayfinite
from tests.guard import nets
from tests.guard.loops import WrittenByHand

pytestmark = pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
EPOCHS, CHANGED_AT = 2, 8  # in the second epoch


def with_element(array, value):
    changed = np.array(array)
    changed.reshape(-1)[1] = value
    return changed


class Fault(keras.callbacks.Callback):
    """Changes one number of a variable after a step, once."""

    def __init__(self, find, value, at=CHANGED_AT):
        super().__init__()
        self.find, self.value, self.at, self.num_made = find, value, at, 0

    def on_train_batch_end(self, batch, logs=None):
        self.num_made += 1
        if self.num_made == self.at:
            variable = self.find(self.model)
            array = keras.ops.convert_to_numpy(variable.value)
            variable.assign(with_element(array, self.value))


class RateOfEachStep(keras.callbacks.Callback):
    """A learning rate that a program sets before each step."""

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.01 / (1 + batch)


def moment(model):
    return next(v for v in model.optimizer.variables if tuple(v.shape) == (5, 8))


def second_moment(model):
    return [v for v in model.optimizer.variables if tuple(v.shape) == (5, 8)][1]


def fitted(model, callbacks, x=None):
    data, targets = nets.table()
    keras.utils.set_random_seed(1)
    options = {"batch_size": nets.BATCH, "epochs": EPOCHS, "shuffle": False, "verbose": 0}
    return model.fit(data if x is None else x, targets, callbacks=callbacks, **options)


@pytest.mark.parametrize(
    ("find", "value", "cause"),
    [
        (moment, 1e30, "bad-update"),
        pytest.param(second_moment, -1e3, "bad-update", marks=pytest.mark.slow),
        pytest.param(
            lambda model: model.trainable_variables[0], 1e30, "bad-weights", marks=pytest.mark.slow
        ),
        pytest.param(
            lambda model: model.non_trainable_variables[1],
            np.nan,
            "bad-statistics",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["moment", "second-moment", "weight", "statistic"],
)
@pytest.mark.usefixtures("without_trials")
def test_training_goes_on_as_if_the_number_had_not_been_changed(find, value, cause, tmp_path):
    plain = nets.mlp()
    expected = fitted(plain, [RateOfEachStep()])
    model = nets.mlp()
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    history = fitted(model, [guard, Fault(find, value), RateOfEachStep()])
    (made,) = guard.interventions
    assert made.cause == cause
    assert made.step >= CHANGED_AT > made.resumed_from
    assert "made again" in made.action
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert history.history == expected.history
    (folder,) = tmp_path.glob("incident-*")
    incident = json.loads((folder / "incident.json").read_text())
    assert incident["cause"]["certainty"] == "confirmed"
    message = f"`{find(model).path}` was changed before step {CHANGED_AT}, by no step"
    assert incident["cause"]["message"].startswith(message)


@pytest.mark.slow
def test_divergence_is_no_change_between_two_steps(tmp_path):
    x, _ = nets.table()
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e6, momentum=0.9), "mse")
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fitted(model, [stayfinite.Guard("rollback", keep=tmp_path)], 100 * x)
    assert caught.value.incident.cause.name == "divergence"


class Moved(keras.callbacks.Callback):
    """A program that sets a whole weight, which the training does not survive."""

    def on_train_batch_end(self, batch, logs=None):
        weight = self.model.trainable_variables[0]
        if batch == 3:
            weight.assign(np.full(weight.shape, 1e30, "float32"))


@pytest.mark.slow
def test_what_a_program_writes_on_purpose_is_not_taken_back(tmp_path):
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fitted(nets.mlp(), [guard, Moved()])
    assert "between two steps" not in caught.value.incident.cause.message


def trained_by_hand(loop, fault=None):
    x, y = nets.table()
    for number in range(6):
        samples = slice(number * nets.BATCH, (number + 1) * nets.BATCH)
        if number == 3 and fault is not None:
            fault(loop)
        loop.step(x[samples], y[samples].astype("float32")[:, None])
    return loop


def spoil_moment(loop):
    """Changes one number of a moment of the optimizer."""
    if loop._state is None:
        variable = next(v for v in loop.optimizer.variables if tuple(v.shape) == (5, 8))
        variable.assign(with_element(keras.ops.convert_to_numpy(variable.value), 1e30))
        return
    slots = loop._state[2]
    at = next(n for n, value in enumerate(slots) if value.shape == (5, 8))
    slots[at] = keras.ops.convert_to_tensor(with_element(slots[at], 1e30))


@pytest.mark.usefixtures("without_trials")
def test_loop_written_by_hand_goes_on(tmp_path):
    plain = trained_by_hand(WrittenByHand())
    guard = functools.partial(stayfinite.guarded, policy="rollback", keep=tmp_path)
    loop = trained_by_hand(WrittenByHand(guard), spoil_moment)
    loop.guarded.check()
    (made,) = loop.guarded.interventions
    assert made.cause == "bad-update"
    nets.assert_bit_equal(loop.arrays(), plain.arrays())


@pytest.mark.slow_on("jax", "tensorflow")
def test_training_goes_on_where_the_loss_rises_without_the_change(tmp_path):
    x = 3 * np.random.default_rng(0).normal(size=(48, 5)).astype("float32")

    def trained(*callbacks):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.3), "mse")
        model.fit(x, x.sum(axis=1), batch_size=4, shuffle=False, verbose=0, callbacks=[*callbacks])
        return model

    plain = trained()
    guard = stayfinite.Guard("rollback", keep=tmp_path)
    model = trained(guard, Fault(lambda model: model.trainable_variables[0], 1e30, at=8))
    (made,) = guard.interventions
    assert made.cause == "bad-weights"
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
