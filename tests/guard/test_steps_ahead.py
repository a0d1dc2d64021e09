"""Steps on JAX that are ahead of the flag of a bad one, under policies that go on after it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.frameworks.keras.batch_listeners import see_steps
from stayfinite.guard import policies
from tests.guard import nets

pytestmark = pytest.mark.filterwarnings("ignore:.*non-finite:RuntimeWarning")
NUM_COPIES = 8


def with_hook(name):
    return keras.callbacks.LambdaCallback(**{name: lambda batch, logs: None})


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (keras.callbacks.EarlyStopping(), False),
        (keras.callbacks.ModelCheckpoint("weights.keras"), False),
        (keras.callbacks.ModelCheckpoint("weights.keras", save_freq=3), True),
        (stayfinite.SafeCheckpoint("checkpoints"), False),
        (with_hook("on_epoch_end"), False),
        (with_hook("on_train_batch_end"), True),
        (with_hook("on_train_batch_begin"), True),
    ],
)
def test_callbacks_that_see_steps(callback, expected):
    assert see_steps([callback, keras.callbacks.History()]) is expected


@pytest.mark.parametrize(("verbose", "expected"), [(1, True), (2, False)])
def test_progress_bar_shows_each_step(verbose, expected):
    bar = keras.callbacks.ProgbarLogger()
    bar.set_params({"verbose": verbose, "epochs": 1, "steps": 1})
    assert see_steps([bar]) is expected


def fitted(model, data, callbacks, **options):
    keras.utils.set_random_seed(1)
    options = {"epochs": 2, "batch_size": nets.BATCH, "shuffle": False, "verbose": 0, **options}
    return model.fit(*data, callbacks=callbacks, **options).history


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="each flag is read at once elsewhere")
@pytest.mark.parametrize(
    ("is_seen", "options"),
    [(False, {}), (False, {"steps_per_execution": 3}), (True, {})],
    ids=["in windows", "with flags", "seen"],
)
def test_training_is_that_of_the_data_without_the_batches(is_seen, options, tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "MAX_EXPLAINED_SKIPS", 0)
    data = tuple(np.concatenate([array] * NUM_COPIES) for array in nets.table())
    # In the middle of a series of steps, two in a row, and the last; then in no window.
    bad = [7, 30, 31, NUM_COPIES * nets.ROWS // nets.BATCH - 1]
    x = data[0].copy()
    x[[batch * nets.BATCH + 2 for batch in bad]] = np.nan
    kept = ~np.isin(np.arange(len(x)) // nets.BATCH, bad)
    plain, model = nets.mlp(**options), nets.mlp(**options)
    guard = stayfinite.Guard("skip", keep=tmp_path)
    others = [with_hook("on_train_batch_end")] if is_seen else []
    history = fitted(model, (x, data[1]), [guard, *others], validation_data=nets.table())
    expected = fitted(plain, tuple(array[kept] for array in data), [], validation_data=nets.table())
    assert history == expected
    nets.assert_bit_equal(nets.state_of(model), nets.state_of(plain))
    assert [one.batch for one in guard.interventions] == bad * 2
    assert model.train_function.waits is is_seen
