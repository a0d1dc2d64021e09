"""The policy "repair": the run ends with the bits of a run of the repaired source."""

from __future__ import annotations

import functools
import importlib.util

import keras
import numpy as np
import pytest

import stayfinite
from tests.guard import nets
from tests.guard.loops import WrittenByHand
from zoo.patching import patched

pytestmark = pytest.mark.filterwarnings("ignore:.*(non-finite|made in the running):RuntimeWarning")
# Each explanation compiles the step many times.
SLOW_IF_COMPILED = pytest.mark.slow_on("jax", "tensorflow")
callbacks = keras.callbacks

DISTANCE = """
from keras import ops

def loss(y_true, y_pred):
    difference = ops.where(y_true > 2.5, y_pred * 0, y_pred - y_true)
    return ops.mean(ops.sqrt(ops.sum(ops.square(difference), axis=-1)))
"""
TRIPLET = """
from keras import ops

def loss(y_true, y_pred):
    anchor, positive, negative = ops.split(y_pred, 3, axis=-1)
    near = ops.sqrt(ops.sum(ops.square(anchor - positive), axis=-1))
    far = ops.sqrt(ops.sum(ops.square(anchor - negative), axis=-1))
    return ops.mean(ops.relu(near - far + 0.5))
"""
LOG = """
from keras import ops

def loss(y_true, y_pred):
    probability = ops.sigmoid(y_pred)
    return -ops.mean(y_true * ops.log(probability) + (1 - y_true) * ops.log(1 - probability))
"""

ANNEALED = """
import keras
import numpy as np
from keras import ops

class Annealed(keras.losses.Loss):
    def __init__(self):
        super().__init__()
        self.num_calls, self.weights = 0, []

    def call(self, y_true, y_pred):
        self.num_calls += 1
        noise = np.random.uniform()
        self.weights.append(min(1.0, self.num_calls / 20) + noise)
        difference = ops.where(y_true > 2.5, y_pred * 0, y_pred - y_true)
        return self.weights[-1] * ops.sqrt(ops.sum(ops.square(difference), axis=-1))

loss = Annealed()
"""


def repaired(text, intervention):
    """The text with the diff that was shown."""
    return "".join(patched(text.splitlines(keepends=True), intervention.diff))


@pytest.fixture
def source(tmp_path):
    """Imports a text as a module of its own."""

    def import_(name, text):
        path = tmp_path / f"{name}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return import_


def distances(loss, **options):
    """A model with dropout, moving statistics and a metric, and its data; sample 42 fails."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.3),
            layers.Dense(3),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), loss=loss, metrics=["mae"], **options)
    random = np.random.default_rng(0)
    y = np.clip(random.normal(size=(64, 3)), -2, 2).astype("float32")
    y[42] = 3.0
    return model, (random.normal(size=(64, 6)).astype("float32"), y)


def triplets(loss, **options):
    """A siamese network, and its data; the anchor of sample 21 is its positive."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    encoder = keras.Sequential([keras.Input((6,)), layers.Dense(8, "tanh"), layers.Dense(4)])
    inputs = [keras.Input((6,)) for _ in range(3)]
    model = keras.Model(inputs, layers.Concatenate()([encoder(one) for one in inputs]))
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss=loss, **options)
    random = np.random.default_rng(0)
    x = [random.normal(size=(64, 6)).astype("float32") for _ in range(3)]
    x[1][21] = x[0][21]
    return model, (x, np.zeros((64, 1), "float32"))


def probabilities(loss):
    """A classifier, and its data; the probability of sample 42 rounds to 1."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(1e-3), loss=loss)
    model.set_weights([np.ones((6, 1), "float32")])
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    x[42] = 20.0
    return model, (x, np.zeros((64, 1), "float32"))


def explained(folder):
    """The report of the only incident in a folder, in one line."""
    (incident,) = folder.glob("incident-*")
    return " ".join(stayfinite.explain(incident).split())


def fitted(model, data, added, **options):
    keras.utils.set_random_seed(1)
    return model.fit(*data, callbacks=added, batch_size=8, verbose=0, **options)


def test_run_is_that_of_the_repaired_source(source, tmp_path):
    def trained(loss, name, *guards):
        model, data = distances(loss)
        added = [
            *guards,
            callbacks.ReduceLROnPlateau(monitor="loss", patience=1, min_delta=10.0),
            callbacks.ModelCheckpoint(tmp_path / f"{name}.weights.h5", save_weights_only=True),
        ]
        model.evaluate(*data, verbose=0)  # compiled before the repair
        history = fitted(model, data, added, epochs=3, validation_data=data)
        model.load_weights(tmp_path / f"{name}.weights.h5")
        return model, history

    guard = stayfinite.Guard("repair", keep=tmp_path)
    model, history = trained(source("broken", DISTANCE).loss, "repaired", guard)
    (made,) = history.interventions
    assert (made.policy, made.cause) == ("repair", "singular-gradient")
    kept = explained(tmp_path)
    assert "the running program is repaired" in kept
    assert "healthy steps unchanged)" in kept
    plain, expected = trained(source("repaired", repaired(DISTANCE, made)).loss, "plain")
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert history.history == expected.history
    assert history.epoch == expected.epoch


@SLOW_IF_COMPILED
@pytest.mark.parametrize("options", [{}, {"steps_per_execution": 4}], ids=["one", "four"])
def test_siamese_network_in_several_fits(options, source, tmp_path):
    if options and keras.backend.backend() == "torch":
        pytest.skip("Keras runs single steps only on PyTorch")

    def trained(loss, *guards):
        model, data = triplets(loss, **options)
        histories = [fitted(model, data, [*guards], epochs=1).history for _ in range(2)]
        return model, histories

    guard = stayfinite.Guard("repair", keep=tmp_path)
    losses = source("broken", TRIPLET)
    model, histories = trained(losses.loss, guard)
    assert guard.interventions == []  # of the second fit
    # The program runs the repaired function.
    plain, expected = trained(losses.loss)
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert histories == expected


@SLOW_IF_COMPILED
def test_log_of_a_rounded_probability(source, tmp_path):
    model, data = probabilities(source("broken", LOG).loss)
    guard = stayfinite.Guard("repair", keep=tmp_path)
    history = fitted(model, data, [guard], epochs=2, shuffle=False)
    (made,) = guard.interventions
    assert (made.step, made.cause) == (5, "log-of-zero")
    assert "5 healthy steps unchanged but for roundings)" in explained(tmp_path)
    plain, data = probabilities(source("repaired", repaired(LOG, made)).loss)
    expected = fitted(plain, data, [], epochs=2, shuffle=False)
    # The steps before were rounded in another way.
    np.testing.assert_allclose(model.get_weights()[0], plain.get_weights()[0], rtol=1e-6)
    np.testing.assert_allclose(history.history["loss"], expected.history["loss"], rtol=1e-6)


@SLOW_IF_COMPILED
def test_what_an_eager_step_counts_and_draws_is_that_of_one_run(source, tmp_path):
    def trained(loss, *guards):
        model, data = distances(loss, run_eagerly=True)
        history = fitted(model, data, guards, epochs=2)
        return model, history.history, loss.num_calls, loss.weights, np.random.uniform()

    guard = stayfinite.Guard("repair", keep=tmp_path)
    model, *seen = trained(source("broken", ANNEALED).loss, guard)
    (made,) = guard.interventions
    plain, *expected = trained(source("repaired", repaired(ANNEALED, made)).loss)
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert seen == expected


@SLOW_IF_COMPILED
@pytest.mark.parametrize("policy", ["repair", "rollback"])
def test_what_is_not_proved_stops(policy, tmp_path):
    model = nets.mlp()
    before = nets.state_of(model)
    x, y = nets.table()
    guard = stayfinite.Guard(policy, keep=tmp_path)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fitted(model, (np.full_like(x, np.nan), y), [guard])
    assert caught.value.incident.cause.name == "bad-input"
    assert caught.value.incident.intervention is None
    assert guard.interventions == []
    nets.assert_bit_equal(nets.state_of(model)[: len(before)], before)


@SLOW_IF_COMPILED
def test_loop_written_by_hand(source, tmp_path):
    x, y = nets.table()

    def trained(loop):
        for first in range(0, nets.ROWS, nets.BATCH):
            target = np.repeat(y[first : first + nets.BATCH, None], 1, axis=1).astype("float32")
            if first == 3 * nets.BATCH:
                target[2] = 3.0
            else:
                target = np.minimum(target, 2.0)
            loop.step(x[first : first + nets.BATCH], target)
        return loop

    guard = functools.partial(stayfinite.guarded, policy="repair", keep=tmp_path)
    loop = trained(WrittenByHand(guard, loss=source("broken", DISTANCE).loss))
    (made,) = loop.guarded.interventions
    assert made.step == 3
    plain = trained(WrittenByHand(loss=source("repaired", repaired(DISTANCE, made)).loss))
    if "unchanged but for roundings" in explained(tmp_path):
        for one, other in zip(loop.arrays(), plain.arrays(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    else:
        nets.assert_bit_equal(loop.arrays(), plain.arrays())
