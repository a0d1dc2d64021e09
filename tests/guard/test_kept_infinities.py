"""Infinities that a statistic of the user's own held before the step, and holds after it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from stayfinite import Guard, NonFiniteError
from tests.guard.loops import WrittenByHand

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")


class Bounds(layers.Layer):
    """Clips at a bound that is infinite, and tracks the minimum of the first two features."""

    def build(self, shape):
        endless = keras.initializers.Constant(np.inf)
        self.high = self.add_weight(shape=(), initializer=endless, trainable=False)
        self.low = self.add_weight(shape=(shape[-1],), initializer=endless, trainable=False)

    def call(self, x, training=False):
        if training:
            low = ops.convert_to_tensor(self.low)
            is_tracked = ops.arange(x.shape[-1]) < 2
            self.low.assign(ops.where(is_tracked, ops.minimum(low, ops.min(x, axis=0)), low))
        return ops.minimum(x, self.high)


def network(**settings):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), Bounds(), layers.Dense(1)])
    model.compile("adam", "mse", **settings)
    return model


SLOW_IF_COMPILED = pytest.mark.slow_on("jax", "tensorflow")


@pytest.mark.parametrize("run_eagerly", [False, pytest.param(True, marks=SLOW_IF_COMPILED)])
def test_infinity_that_stays_is_no_incident(run_eagerly, tmp_path):
    guarded, plain = network(run_eagerly=run_eagerly), network(run_eagerly=run_eagerly)
    plain.fit(X, X[:, :1], batch_size=8, epochs=2, shuffle=False, verbose=0)
    guard = Guard(keep=tmp_path)
    guarded.fit(X, X[:, :1], batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[guard])
    high, low = guarded.non_trainable_variables[:2]
    assert np.isinf(ops.convert_to_numpy(high))
    assert np.isinf(ops.convert_to_numpy(low)).tolist() == [False, False, True, True]
    for one, other in zip(guarded.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class TrainedBound(layers.Layer):
    """Clips at bounds that are weights: what is below has a gradient of 0 with respect to them."""

    def build(self, shape):
        self.high = self.add_weight(
            shape=(shape[-1],), initializer=keras.initializers.Constant(np.inf)
        )

    def call(self, x):
        return ops.minimum(x, self.high)


def network_with_trained_bound(*, frozen=False):
    bound = TrainedBound()
    model = keras.Sequential([keras.Input((4,)), bound, layers.Dense(1)])
    bound.trainable = not frozen
    model.compile("adam", "mse")
    return model


@SLOW_IF_COMPILED
@pytest.mark.parametrize("frozen", [False, True])
def test_infinite_weight_of_a_layer_of_the_user_that_stays_is_no_incident(frozen, tmp_path):
    model = network_with_trained_bound(frozen=frozen)
    bound = model.layers[0]
    model.fit(X, X[:, :1], batch_size=8, verbose=0, callbacks=[Guard(keep=tmp_path)])
    assert np.isinf(ops.convert_to_numpy(bound.high)).all()
    kernel = model.layers[-1].kernel
    kernel.assign(np.full((4, 1), np.inf, "float32"))
    with pytest.raises(NonFiniteError) as raised:
        model.fit(X, X[:, :1], batch_size=8, verbose=0, callbacks=[Guard(keep=tmp_path)])
    assert raised.value.incident.origin.tensor == kernel.path, "the bound is not blamed"


@SLOW_IF_COMPILED
def test_infinity_that_stays_is_not_blamed_for_another(tmp_path):
    x = X.copy()
    x[17, 2] = np.nan
    with pytest.raises(NonFiniteError) as raised:
        network().fit(
            x, X[:, :1], batch_size=8, shuffle=False, verbose=0, callbacks=[Guard(keep=tmp_path)]
        )
    incident = raised.value.incident
    assert (incident.cause.name, incident.where.step) == ("bad-input", 2)


@SLOW_IF_COMPILED
def test_infinite_statistic_of_a_layer_of_keras_is_an_incident(tmp_path):
    norm = layers.BatchNormalization()
    model = keras.Sequential([keras.Input((4,)), norm, layers.Dense(1)])
    norm.moving_variance.assign([np.inf, 1.0, 1.0, 1.0])
    model.compile("adam", "mse")
    with pytest.raises(NonFiniteError) as raised:
        model.fit(X, X[:, :1], batch_size=8, verbose=0, callbacks=[Guard(keep=tmp_path)])
    assert raised.value.incident.cause.name == "bad-statistics"


@pytest.mark.usefixtures("without_trials")
def test_infinity_that_a_step_makes_is_an_incident(tmp_path):
    class Endless(Bounds):
        def call(self, x, training=False):
            if training:
                self.low.assign(ops.exp(100.0 + ops.abs(x[0])))
            return x

    model = keras.Sequential([keras.Input((4,)), Endless(), layers.Dense(1)])
    model.layers[0].low.assign([0.0] * 4)
    model.compile("adam", "mse")
    with pytest.raises(NonFiniteError) as raised:
        model.fit(X, X[:, :1], batch_size=8, verbose=0, callbacks=[Guard(keep=tmp_path)])
    assert raised.value.incident.cause.name == "bad-statistics"


@pytest.mark.parametrize("compiled", [False, True])
def test_infinity_that_stays_in_a_loop_without_fit(compiled, monkeypatch, tmp_path):
    import stayfinite
    from tests.guard import nets

    monkeypatch.setattr(nets, "mlp", network)
    loop = WrittenByHand(lambda *step: stayfinite.guarded(*step, keep=tmp_path), compiled=compiled)
    for _ in range(3):
        loop.step(X[:8], X[:8, :1])
    assert any(np.isinf(array).any() for array in loop.arrays())
