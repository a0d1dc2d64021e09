"""The guard is never worse than no guard: bad input, odd models, memory."""

from __future__ import annotations

import contextlib
import gc
import logging
import re
import weakref

import keras
import numpy as np
import pytest

import stayfinite
from tests.guard import nets


def test_unknown_policy_is_a_usage_error_of_one_line():
    with pytest.raises(stayfinite.UsageError, match="policy='explode'") as caught:
        stayfinite.Guard(policy="explode")
    assert "\n" not in str(caught.value)


def without_weights():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Rescaling(2.0)])
    model.compile("sgd", loss="mse")
    return model


def uncompiled():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])


X, Y = nets.table()
ODD = {
    "no weights": (without_weights, X, X),
    "not compiled": (uncompiled, X, Y),
    "no samples": (nets.mlp, X[:0], Y[:0]),
    "one sample": (nets.mlp, X[:1], Y[:1]),
    "objects": (nets.mlp, X.astype(object), Y),
    "strings": (nets.mlp, X.astype(str), Y),
    "wrong shape": (nets.mlp, X[:, :3], Y),
    "too few targets": (nets.mlp, X, Y[:4]),
}
# The others end before a step is compiled, or as one of these does.
OF_THE_STEP = ("no weights", "one sample", "wrong shape")
SLOW = pytest.mark.slow_on("jax", "tensorflow")


# Keras warns of a model without weights.
@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights:UserWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OF_THE_STEP else SLOW) for name in ODD]
)
def test_odd_trainings_end_as_they_do_without_guard(name, tmp_path):
    build, x, y = ODD[name]

    def ending(callbacks):
        try:
            build().fit(x, y, epochs=2, verbose=0, callbacks=callbacks)
        except Exception as error:
            return type(error), re.sub(r"_\d+", "", str(error))
        return None

    assert ending([stayfinite.Guard(keep=tmp_path)]) == ending([])


def test_skip_of_loss_scaling_is_not_an_incident(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((5,)), keras.layers.Dense(4, dtype="mixed_float16")]
    model = keras.Sequential([*layers, keras.layers.Dense(1, dtype="mixed_float16")])
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=2.0**60)
    model.compile(scaled, loss="mse")
    before = model.get_weights()
    options = {"epochs": 2, "batch_size": 8, "verbose": 0}
    model.fit(X, Y, callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    # Every step was skipped, and the scale was halved by each.
    assert float(scaled.dynamic_scale.value) == 2.0 ** (60 - 12)
    nets.assert_bit_equal(model.get_weights(), before)


@pytest.mark.usefixtures("without_trials")
def test_nan_loss_under_loss_scaling_is_an_incident(tmp_path):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, dtype="mixed_float16")])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01)), loss="mse")
    targets = np.where(np.arange(nets.ROWS) == 17, np.nan, Y)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        options = {"batch_size": 8, "shuffle": False, "verbose": 0}
        model.fit(X, targets, callbacks=[stayfinite.Guard(keep=tmp_path)], **options)
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (2, "bad-target")


def test_nan_metric_is_not_an_incident(tmp_path):
    def undefined(y_true, y_pred):
        return keras.ops.mean(y_pred) * np.nan

    model = nets.mlp(metrics=[undefined])
    model.fit(X, Y, callbacks=[stayfinite.Guard(keep=tmp_path)], verbose=0)


@pytest.mark.slow_on("tensorflow")
def test_model_that_was_guarded_can_be_forgotten(tmp_path):
    model = nets.mlp()
    model.fit(X, Y, callbacks=[stayfinite.Guard(keep=tmp_path)], verbose=0)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


@SLOW
def test_unwritable_keep_folder_does_not_take_the_stop_or_the_explanation_away(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    model = nets.mlp()
    x = np.where(np.arange(nets.ROWS)[:, None] == 20, np.nan, X)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        guard = stayfinite.Guard(keep=tmp_path / "file" / "below")
        model.fit(x, Y, batch_size=8, shuffle=False, verbose=0, callbacks=[guard])
    incident = caught.value.incident
    assert (incident.where.step, incident.cause.name) == (2, "bad-input")
    assert incident.kept.weights is None
    assert any("nothing could be kept on disk" in note for note in incident.notes)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@SLOW
def test_second_guard_keeps_in_its_own_folder(tmp_path):
    model = nets.mlp()
    for name in ("one", "two"):
        guard = stayfinite.Guard(keep=tmp_path / name)
        with pytest.raises(stayfinite.NonFiniteError):
            model.fit(X * np.inf, Y, verbose=0, callbacks=[guard])
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one", "two"]


def test_nonfinite_validation_loss_is_told_and_stops_nothing(tmp_path):
    model = nets.mlp()
    bad = Y.copy()
    bad[3] = np.inf
    guard = stayfinite.Guard(keep=tmp_path)
    with pytest.warns(RuntimeWarning, match="the loss of the validation after epoch") as told:
        data = {"validation_data": (X, bad), "epochs": 2, "verbose": 0}
        history = model.fit(X, Y, callbacks=[guard], **data)
    ours = [warning for warning in told if warning.category is RuntimeWarning]
    said = [str(warning.message).split(";")[0] for warning in ours]
    assert said == [f"the loss of the validation after epoch {epoch} is inf" for epoch in (0, 1)]
    assert history.history["val_loss"] == [np.inf, np.inf]
    assert np.isfinite(model.evaluate(X, Y, verbose=0))
    with pytest.warns(RuntimeWarning, match="the loss of the evaluation is inf"):
        model.evaluate(X, bad, verbose=0, callbacks=[guard])
    assert not any(tmp_path.iterdir())
    # The line shown with it is that of `fit`, not one of a library.
    assert {warning.filename for warning in ours} == {__file__}


class Tells(keras.layers.Layer):
    """Prints where its code runs, and takes a root of what it is given."""

    def call(self, x):
        print("the layer was called")
        logging.getLogger("mine").warning("and logged it")
        return keras.ops.sqrt(x)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="a step of JAX is traced for a run")
def test_what_a_step_prints_is_not_printed_by_the_explanation(tmp_path, capsys, caplog):
    x, y = np.abs(X), Y[:, None]

    def printed(x, callbacks=()):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((5,)), Tells(), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        with contextlib.suppress(stayfinite.NonFiniteError):
            model.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=callbacks)
        logged, printed = len(caplog.records), capsys.readouterr().out.count("the layer was called")
        caplog.clear()
        return logged, printed

    bad = x.copy()
    bad[-1, 2] = -1.0  # of the last step
    assert printed(bad, [stayfinite.Guard(keep=tmp_path)]) == printed(x)
