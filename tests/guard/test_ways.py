"""Every way in which people train: the guard sees each step, changes nothing, and stops in time."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import stayfinite
from tests import versions
from tests.guard import nets

BACKEND = keras.backend.backend()
BAD_STEP = 4
OPTIONS = {"epochs": 2, "shuffle": False, "verbose": 0}
NUM_BATCHES = nets.ROWS // nets.BATCH


def table(spoiled):
    """Samples and targets; with one NaN in the batch of `BAD_STEP` where they are `spoiled`."""
    x, y = nets.table()
    y = y.astype("float32")[:, None]
    if spoiled:
        x[BAD_STEP * nets.BATCH + 2, 1] = np.nan
    return x, y


def slices(x, y):
    return [
        (x[samples], y[samples])
        for samples in (slice(n * nets.BATCH, (n + 1) * nets.BATCH) for n in range(NUM_BATCHES))
    ]


def fit_arrays(model, x, y, **more):
    model.fit(x, y, batch_size=nets.BATCH, **OPTIONS, **more)


def fit_generator(model, x, y, **more):
    def batches():
        while True:
            yield from slices(x, y)

    model.fit(batches(), steps_per_epoch=NUM_BATCHES, **OPTIONS, **more)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y, **options):
        super().__init__(**options)
        self.batches = slices(x, y)

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def fit_py_dataset(model, x, y, **more):
    model.fit(Batches(x, y), **OPTIONS, **more)


def fit_py_dataset_with_threads(model, x, y, **more):
    model.fit(Batches(x, y, workers=2, max_queue_size=4), **OPTIONS, **more)


def fit_py_dataset_with_processes(model, x, y, **more):
    data = Batches(x, y, workers=2, use_multiprocessing=True, max_queue_size=4)
    model.fit(data, **OPTIONS, **more)


def fit_tf_data(model, x, y, **more):
    tf = pytest.importorskip("tensorflow")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(nets.BATCH).prefetch(2)
    model.fit(data, **OPTIONS, **more)


def fit_data_loader(model, x, y, **more):
    data = pytest.importorskip("torch.utils.data")
    torch = pytest.importorskip("torch")
    tensors = data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    model.fit(data.DataLoader(tensors, batch_size=nets.BATCH), **OPTIONS, **more)


def fit_grain(model, x, y, **more):
    grain = pytest.importorskip("grain")
    samples = list(zip(x, y, strict=True))
    data = grain.MapDataset.source(samples).batch(nets.BATCH).repeat().to_iter_dataset()
    model.fit(data, steps_per_epoch=NUM_BATCHES, **OPTIONS, **more)


# Arrays and Grain are given to the step on each backend. Generators and data sets of Keras are in
# `test_stop.py`, `test_files.py` and `test_heavy.py`, too.
SLOW = pytest.mark.slow_on("jax", "tensorflow")
WAYS = [
    fit_arrays,
    pytest.param(fit_generator, marks=SLOW),
    pytest.param(fit_py_dataset, marks=SLOW),
    fit_tf_data,
    fit_data_loader,
    pytest.param(fit_grain, marks=versions.NO_GRAIN),
]
# Keras itself does not promise the order in which several workers deliver.
WAYS_OUT_OF_ORDER = [fit_py_dataset_with_threads, fit_py_dataset_with_processes]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.usefixtures("without_trials")
def test_a_healthy_training_is_the_same_and_a_bad_step_is_found(way, tmp_path):
    plain, guarded = nets.mlp(), nets.mlp()
    guard = stayfinite.Guard(keep=tmp_path)
    way(plain, *table(spoiled=False))
    way(guarded, *table(spoiled=False), callbacks=[guard])
    nets.assert_bit_equal(nets.state_of(guarded), nets.state_of(plain))

    # Both go on: the one with all batches, of which one is bad, the other with those before it.
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        way(guarded, *table(spoiled=True), callbacks=[guard])
    incident = caught.value.incident
    where = incident.where
    assert (where.step, where.epoch, where.batch) == (2 * NUM_BATCHES + BAD_STEP, 0, BAD_STEP)
    assert (incident.cause.name, incident.origin.samples) == ("bad-input", (2,))
    for batch in slices(*table(spoiled=False))[:BAD_STEP]:
        plain.train_on_batch(*batch)
    nets.assert_bit_equal(nets.state_of(guarded), nets.state_of(plain))


@pytest.mark.parametrize("way", WAYS_OUT_OF_ORDER, ids=lambda way: way.__name__)
@pytest.mark.usefixtures("without_trials")
def test_a_bad_step_is_found_among_batches_of_several_workers(way, tmp_path):
    model = nets.mlp()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        way(model, *table(spoiled=True), callbacks=[stayfinite.Guard(keep=tmp_path)])
    incident = caught.value.incident
    assert (incident.cause.name, incident.origin.samples) == ("bad-input", (2,))
    assert 0 <= incident.where.step < NUM_BATCHES
    assert all(np.isfinite(array).all() for array in nets.state_of(model))


class Nested(keras.callbacks.Callback):
    """Some people bring a whole `CallbackList`."""


@pytest.mark.usefixtures("without_trials")
def test_guard_inside_a_callback_list(tmp_path):
    model = nets.mlp()
    inside = [Nested(), stayfinite.Guard(keep=tmp_path)]
    callbacks = keras.callbacks.CallbackList(inside, add_history=True, model=model, epochs=2)
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit_arrays(model, *table(spoiled=True), callbacks=callbacks)
    assert caught.value.incident.where.step == BAD_STEP


@pytest.mark.usefixtures("without_trials")
def test_model_compiled_again_between_two_fits(tmp_path):
    model = nets.mlp()
    guard = stayfinite.Guard(keep=tmp_path)
    fit_arrays(model, *table(spoiled=False), callbacks=[guard])
    model.compile(keras.optimizers.SGD(1e-3), loss="mae")
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit_arrays(model, *table(spoiled=True), callbacks=[guard])
    assert caught.value.incident.where.step == 2 * NUM_BATCHES + BAD_STEP


OPTIMIZERS = {
    "accumulation": lambda: keras.optimizers.Adam(1e-2, gradient_accumulation_steps=2),
    "average": lambda: keras.optimizers.SGD(1e-2, use_ema=True, ema_overwrite_frequency=3),
    "schedule": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(1e-2, decay_steps=20)
    ),
    "clipnorm": lambda: keras.optimizers.SGD(1e-2, clipnorm=0.5),
    "global_clipnorm": lambda: keras.optimizers.AdamW(1e-2, global_clipnorm=0.5),
    "loss scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-2)),
    "lion": lambda: keras.optimizers.Lion(1e-3),
    "ftrl": lambda: keras.optimizers.Ftrl(1e-2),
}


# Those that keep more than slots. An average, and a look at all gradients at once, are compared on
# each backend in `test_bit_equality.py`.
ON_EACH_BACKEND = ("accumulation", "loss scale")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ON_EACH_BACKEND else SLOW) for n in OPTIMIZERS]
)
@pytest.mark.usefixtures("without_trials")
def test_optimizers(name, tmp_path):
    plain, guarded = nets.mlp(OPTIMIZERS[name]()), nets.mlp(OPTIMIZERS[name]())
    guard = stayfinite.Guard(keep=tmp_path)
    fit_arrays(plain, *table(spoiled=False))
    fit_arrays(guarded, *table(spoiled=False), callbacks=[guard])
    nets.assert_bit_equal(nets.state_of(guarded), nets.state_of(plain))
    # Keras on JAX cannot fit a model twice with an average: it donates one buffer twice.
    goes_on = name != "average"
    stopped = guarded if goes_on else nets.mlp(OPTIMIZERS[name]())
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit_arrays(stopped, *table(spoiled=True), callbacks=[guard])
    incident = caught.value.incident
    num_before = 2 * NUM_BATCHES if goes_on else 0
    assert (incident.where.step, incident.cause.name) == (num_before + BAD_STEP, "bad-input")
    assert all(np.isfinite(array).all() for array in nets.state_of(stopped))
