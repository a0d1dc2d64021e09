"""`SafeCheckpoint`: a killed training goes on to the same bits as one that was not interrupted."""

from __future__ import annotations

import json
import random
import shutil
import signal

import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.saving import checkpoint_files
from stayfinite.saving.callback_state import CallbackStates
from stayfinite.saving.checkpoint_files import Checkpoint
from tests import warm
from tests.versions import NO_GRAIN

TORCH_ONLY = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="no part of it depends on the framework"
)

# `{data}` sets `data` and may set `settings`; a step ends with a kill where `kill` is its number.
SCRIPT = """
import json, os, signal
import keras
import numpy as np
import stayfinite

kill = {kill}
keras.utils.set_random_seed(1)
x = np.random.normal(size=(50, 4)).astype("float32")
y = x[:, :1] ** 2
dense = keras.layers.Dense
model = keras.Sequential([
    keras.Input((4,)), dense(5, activation="relu"), keras.layers.BatchNormalization(),
    keras.layers.Dropout(0.3), dense(1),
])
model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])

class Killing(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.made = 0
    def on_train_batch_end(self, batch, logs=None):
        self.made += 1
        np.random.random()  # as a callback of the user may
        if kill and self.made >= kill:
            os.kill(os.getpid(), signal.SIGKILL)

settings = {{}}
{data}
kinds = keras.callbacks
checkpoints = [] if kill is None else [stayfinite.SafeCheckpoint("ck", every=3, keep=2)]
guards = [stayfinite.Guard()] if {guarded} else []
history = model.fit(
    *data, epochs=4, verbose=0, validation_data=(x, y), **settings,
    callbacks=[
        kinds.EarlyStopping(patience=9, restore_best_weights=True),
        kinds.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        *checkpoints, *guards, Killing(), kinds.ReduceLROnPlateau(patience=1),
    ],
)
variables = [*model.variables, *model.optimizer.variables]
values = [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in variables]
json.dump(
    [[value.tobytes().hex() for value in values], history.history, history.epoch,
     np.random.random()],
    open("result.json", "w"),
)
"""

ARRAYS = "data, settings = (x, y), dict(batch_size=8)"
SOURCES = {
    "iterator over several epochs": (
        "data, settings = (x, y), dict(batch_size=8, steps_per_epoch=5)\n"
        "import warnings; warnings.simplefilter('ignore')"
    ),
    "PyDataset": """
class Own(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.order, self.generator = np.arange(50), np.random.default_rng(3)
    def __len__(self):
        return 6
    def __getitem__(self, number):
        rows = self.order[8 * number:8 * number + 8]
        return x[rows] + self.generator.normal(size=1).astype("float32"), y[rows]
    def on_epoch_end(self):
        np.random.shuffle(self.order)
data = (Own(),)
""",
    "PyDataset with a memory": """
import collections
class Draws:
    __slots__ = ("generator",)
class Own(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.seeds, self.draws = keras.random.SeedGenerator(4), Draws()
        self.draws.generator = np.random.default_rng(3)
        self.recent, self.settings = collections.deque([0], maxlen=9), {"noise": 0.5}
        self.counts = [np.zeros(50), collections.Counter()]
    def __len__(self):
        return 6
    def __getitem__(self, number):
        noise = keras.random.normal((4,), seed=self.seeds)
        self.recent.extend(self.draws.generator.integers(0, 50, 7).tolist())
        rows = list(self.recent)
        self.counts[0][rows] += 1
        self.counts[1].update(rows)
        weight = self.counts[0][rows[0]] + self.counts[1][rows[1]]
        noise = keras.ops.convert_to_numpy(noise) * weight * self.settings["noise"]
        return x[rows] + noise, y[rows]
    def on_epoch_end(self):
        self.settings["noise"] *= 0.5
data, settings = (Own(),), dict(shuffle=False)
""",
    "PyDataset that changes between epochs of one iterator": """
class Own(keras.utils.PyDataset):
    def __init__(self):
        super().__init__()
        self.order, self.generator = np.arange(50), np.random.default_rng(3)
    def __len__(self):
        return 12
    def __getitem__(self, number):
        rows = self.order[4 * number:4 * number + 4]
        return x[rows], y[rows]
    def on_epoch_end(self):
        self.generator.shuffle(self.order)
data, settings = (Own(),), dict(steps_per_epoch=5)
import warnings; warnings.simplefilter("ignore")
""",
    "PyDataset with workers": """
class Own(keras.utils.PyDataset):
    def __init__(self):
        super().__init__(workers=2)
        self.order, self.generator = np.arange(50), np.random.default_rng(3)
    def __len__(self):
        return 6
    def __getitem__(self, number):
        rows = self.order[8 * number:8 * number + 8]
        return x[rows], y[rows]
    def on_epoch_end(self):
        self.generator.shuffle(self.order)
data = (Own(),)
""",
    "generator": """
def batches():
    generator = np.random.default_rng(5)
    while True:
        rows = generator.integers(0, 50, 8)
        yield x[rows], y[rows]
data, settings = (batches(),), dict(steps_per_epoch=6)
""",
    "DataLoader": """
import torch
rows = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
generator = torch.Generator().manual_seed(4)
data = (torch.utils.data.DataLoader(rows, batch_size=8, shuffle=True, generator=generator),)
""",
    "DataLoader over several epochs": """
import torch
rows = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
generator = torch.Generator().manual_seed(4)
loader = torch.utils.data.DataLoader(rows, batch_size=8, shuffle=True, generator=generator)
data, settings = (loader,), dict(steps_per_epoch=6)
import warnings; warnings.simplefilter("ignore")
""",
    "grain": """
import grain
data = (grain.MapDataset.source(list(zip(x, y))).shuffle(seed=3).batch(8),)
""",
    "grain without a length": """
import grain
rows = grain.MapDataset.source(list(zip(x, y))).shuffle(seed=3).to_iter_dataset()
data = (rows.batch(8, drop_remainder=True),)
import warnings; warnings.simplefilter("ignore")
""",
    "tf.data": """
import tensorflow as tf
rows = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(50, seed=3).batch(8)
data = (rows.map(lambda a, b: (a + tf.random.normal((), seed=1), b)),)
""",
}


def run(folder, data, kill, *, guarded=False):
    """`kill`: the step that ends with a kill; 0 for none; None for none, without checkpoints."""
    return warm.python(folder, SCRIPT.format(data=data, kill=kill, guarded=guarded))


def ends_with_the_same_bits(folder, data, kills, *, guarded=False):
    done = run(folder, data, None, guarded=guarded)
    assert done.returncode == 0, done.stderr
    undisturbed = json.loads((folder / "result.json").read_text())
    (folder / "result.json").unlink()
    for kill in kills:
        done = run(folder, data, kill, guarded=guarded)
        assert done.returncode == -signal.SIGKILL, done.stderr
    done = run(folder, data, 0, guarded=guarded)
    assert done.returncode == 0, done.stderr
    assert "SafeCheckpoint: goes on from ck after" in done.stderr
    assert json.loads((folder / "result.json").read_text()) == undisturbed
    return done.stderr


def test_arrays(tmp_path):
    # Once where each start compiles the step again.
    number = 2 if keras.backend.backend() == "torch" else 1
    steps = sorted(random.SystemRandom().sample(range(4, 28), number))
    print("killed at", steps)
    ends_with_the_same_bits(tmp_path, ARRAYS, steps)
    assert len(list((tmp_path / "ck").glob("step-*"))) == 2


@pytest.mark.slow_on("jax", "tensorflow")
def test_arrays_guarded(tmp_path):
    ends_with_the_same_bits(tmp_path, ARRAYS, [11], guarded=True)


@pytest.mark.slow_on("jax", "tensorflow")
@pytest.mark.parametrize(
    "kind", ["PyDataset", "iterator over several epochs", pytest.param("grain", marks=NO_GRAIN)]
)
def test_other_sources(kind, tmp_path):
    # In the first of an epoch, of a length that is known only after it, and in a later one.
    ends_with_the_same_bits(tmp_path, SOURCES[kind], [8, 13])


@TORCH_ONLY
@pytest.mark.parametrize(
    "kind",
    [
        "DataLoader",
        "DataLoader over several epochs",
        "PyDataset with a memory",
        "PyDataset that changes between epochs of one iterator",
        "PyDataset with workers",
        "generator",
    ],
)
def test_sources_of_pytorch(kind, tmp_path):
    printed = ends_with_the_same_bits(tmp_path, SOURCES[kind], [13])
    assert ("the position of a generator cannot be saved" in printed) == (kind == "generator")


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")
def test_global_random_numbers_of_data_that_a_thread_draws(tmp_path):
    drawing = SOURCES["PyDataset"].replace(
        "self.generator.normal(size=1)", "np.random.normal(size=1)"
    )
    # A callback of the script must not draw from the same ones at a moment that is not known.
    script = drawing + "Killing.on_train_batch_end = lambda self, batch, logs=None: self.end()\n"
    script += """
def end(self):
    self.made += 1
    if kill and self.made >= kill:
        os.kill(os.getpid(), signal.SIGKILL)
Killing.end = end
"""
    ends_with_the_same_bits(tmp_path, script, [8, 13])


@TORCH_ONLY
def test_what_cannot_be_repeated_is_told(tmp_path):
    class Rows(keras.utils.PyDataset):
        def __init__(self):
            super().__init__()
            self.rows = iter(range(100))

        def __len__(self):
            return 2

        def __getitem__(self, number):
            return np.full((4, 4), next(self.rows), "float32"), np.ones((4, 1), "float32")

    checkpoint = stayfinite.SafeCheckpoint(tmp_path)
    with pytest.warns(RuntimeWarning, match="position of the iterator rows of the data set cannot"):
        network(1).fit(Rows(), verbose=0, callbacks=[checkpoint])


@TORCH_ONLY
@NO_GRAIN
def test_no_checkpoint_of_an_epoch_that_may_be_over(tmp_path):
    # The second epoch ends after 12 steps, where a checkpoint is due.
    ends_with_the_same_bits(tmp_path, SOURCES["grain without a length"], [13])


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")
def test_tf_data(tmp_path):
    ends_with_the_same_bits(tmp_path, SOURCES["tf.data"], [13])


def network(units=3):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)])
    model.compile(keras.optimizers.Adam(), "mse")
    return model


def fit(folder, units=3, seed=1, **settings):
    keras.utils.set_random_seed(seed)
    model = network(units)
    x = np.ones((16, 4), "float32")
    checkpoint = stayfinite.SafeCheckpoint(folder, every=2)
    extra = settings.pop("callbacks", [])
    history = model.fit(
        x, x[:, :1], batch_size=4, verbose=0, callbacks=[checkpoint, *extra], **settings
    )
    return model.get_weights(), history


@TORCH_ONLY
def test_a_damaged_checkpoint_is_left_out_for_the_one_before(tmp_path, capsys):
    expected, history = fit(tmp_path, epochs=3)
    newest, before = sorted(tmp_path.glob("step-*"), reverse=True)[:2]
    arrays = newest / "state.safetensors"
    data = bytearray(arrays.read_bytes())
    data[-1] ^= 1
    arrays.write_bytes(data)
    (before / "manifest.json").write_text("{")
    capsys.readouterr()
    weights, again = fit(tmp_path, epochs=3)
    lines = capsys.readouterr().err.splitlines()
    assert f"{newest} is left out" in lines[0]
    assert f"{before} is left out" in lines[1]
    assert "goes on from" in lines[2]
    assert all(map(np.array_equal, weights, expected))
    assert again.history == history.history


class HugeMoment(keras.callbacks.Callback):
    """Makes a moment of Adam huge before a step: finite, and the step after that overflows."""

    def __init__(self, step):
        super().__init__()
        self.left = step

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left == -1:
            model = self.model  # on JAX this writes the state into the variables
            moment = next(v for v in model.optimizer.variables if v.shape == (4, 3))
            moment.assign(np.full(moment.shape, 1e30, "float32"))


def bad_fit(folder, step, **settings):
    guard = stayfinite.Guard(keep=folder / "incidents")
    with pytest.raises(stayfinite.NonFiniteError):
        fit(folder / "ck", epochs=3, callbacks=[guard, HugeMoment(step)], **settings)


@pytest.mark.slow_on("tensorflow")
@pytest.mark.usefixtures("without_trials")
def test_a_checkpoint_that_leads_to_a_bad_step_at_once_is_left_out(tmp_path, capsys):
    expected, history = fit(tmp_path / "undisturbed", epochs=3)
    bad_fit(tmp_path, 5)  # a checkpoint is made of what it leaves
    capsys.readouterr()
    weights, again = fit(tmp_path / "ck", epochs=3)
    first, second = capsys.readouterr().err.splitlines()
    newest = tmp_path / "ck" / "step-000000000006"
    assert f"{newest} is left out, because a training had a bad step at once after it" in first
    assert "goes on from" in second and "after 4 steps" in second
    assert all(map(np.array_equal, weights, expected))
    assert again.history == history.history


@TORCH_ONLY
def test_the_beginning_is_before_the_first_checkpoint(tmp_path, capsys):
    expected, _ = fit(tmp_path / "undisturbed", epochs=3)
    bad_fit(tmp_path, 1)
    capsys.readouterr()
    weights, _ = fit(tmp_path / "ck", epochs=3)
    assert "the training begins at epoch 0" in capsys.readouterr().err
    assert all(map(np.array_equal, weights, expected))


@TORCH_ONLY
def test_a_checkpoint_before_the_harm_is_left_out_only_if_it_leads_to_it_again(tmp_path):
    class BadRate(keras.callbacks.Callback):
        def __init__(self, step):
            super().__init__()
            self.left = step

        def on_train_batch_begin(self, batch, logs=None):
            self.left -= 1
            if self.left == -1:
                self.model.optimizer.learning_rate = np.inf

    def marked(step):
        callbacks = [stayfinite.Guard(keep=tmp_path / "incidents"), BadRate(step)]
        with pytest.raises(stayfinite.NonFiniteError):
            fit(tmp_path / "ck", epochs=3, callbacks=callbacks)
        paths = checkpoint_files.newest_first(tmp_path / "ck")
        return [path.name[-1] for path in paths if checkpoint_files.is_marked(path)]

    assert marked(5) == []
    assert marked(1) == ["4"]


@TORCH_ONLY
def test_the_newest_is_used_where_no_checkpoint_is_better(tmp_path, capsys):
    bad_fit(tmp_path, 5)
    for path in (tmp_path / "ck").glob("step-*"):
        if path.name.endswith("2"):
            shutil.rmtree(path)
        else:
            checkpoint_files.mark(path, 6)
    capsys.readouterr()
    bad_fit(tmp_path, 99)
    assert "the newest is used after all" in capsys.readouterr().err


@TORCH_ONLY
@pytest.mark.filterwarnings("ignore:explanation interrupted:RuntimeWarning")
@pytest.mark.parametrize("is_interrupted", [False, True])
def test_bad_data_is_no_fault_of_a_checkpoint(is_interrupted, tmp_path):
    num_bad = 0

    def loss(targets, predictions):
        nonlocal num_bad
        num_bad += bool(np.isnan(keras.ops.convert_to_numpy(predictions)).any())
        if is_interrupted and num_bad == 2:
            raise KeyboardInterrupt  # as Ctrl-C while the step is explained
        return keras.ops.mean(keras.ops.square(targets - predictions))

    class BadData(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 2:
                x[...] = np.nan

    x = np.ones((16, 4), "float32")
    callbacks = [
        stayfinite.SafeCheckpoint(tmp_path, every=2),
        stayfinite.Guard(keep=tmp_path / "incidents"),
        BadData(),
    ]

    def batches():
        while True:
            yield x, np.zeros((16, 3), "float32")

    settings = {"steps_per_epoch": 4, "shuffle": False, "verbose": 0}
    # The second time, the bad step comes at once after the checkpoint.
    for _ in range(2):
        keras.utils.set_random_seed(1)
        model, num_bad = network(), 0
        model.compile("sgd", loss)
        x[...] = 1
        with (
            pytest.warns(RuntimeWarning, match="generator"),
            pytest.raises(stayfinite.NonFiniteError),
        ):
            model.fit(batches(), callbacks=callbacks, **settings)
    (path,) = checkpoint_files.newest_first(tmp_path)
    assert not checkpoint_files.is_marked(path)


@TORCH_ONLY
def test_a_training_that_had_ended_is_not_made_again_and_can_be_made_longer(tmp_path, capsys):
    whole, history = fit(tmp_path / "whole", epochs=5)
    first, _ = fit(tmp_path / "parts", epochs=3)
    again, restored = fit(tmp_path / "parts", epochs=3)
    assert "had ended" in capsys.readouterr().err
    assert all(map(np.array_equal, again, first))
    assert restored.epoch == [0, 1, 2]
    longer, continued = fit(tmp_path / "parts", epochs=5)
    assert all(map(np.array_equal, longer, whole))
    assert continued.history == history.history


@TORCH_ONLY
def test_a_checkpoint_of_another_model_is_refused_in_one_line(tmp_path):
    fit(tmp_path)
    with pytest.raises(
        stayfinite.UsageError, match=r"of another model: its .* is float32"
    ) as error:
        fit(tmp_path, units=2)
    assert "\n" not in str(error.value)


@TORCH_ONLY
def test_a_second_fit_of_an_equal_model_is_refused(tmp_path):
    fit(tmp_path)
    with pytest.raises(stayfinite.UsageError, match="pass another directory for each fit"):
        fit(tmp_path, seed=2)
    model = network()
    x = np.ones((16, 4), "float32")
    for epochs in (1, 2):  # the same model may go on
        checkpoint = stayfinite.SafeCheckpoint(tmp_path / "own", every=2)
        model.fit(x, x[:, :1], epochs=epochs, verbose=0, callbacks=[checkpoint])


@TORCH_ONLY
def test_a_training_that_began_with_other_weights_is_told(tmp_path, monkeypatch):
    fit(tmp_path)
    monkeypatch.setattr("stayfinite.saving.safe_checkpoint._ENDED", {})  # as in another process
    with pytest.warns(RuntimeWarning, match="began with other weights"):
        fit(tmp_path, seed=2, epochs=2)


@TORCH_ONLY
def test_what_is_not_finite_is_not_saved(tmp_path):
    class Poisoning(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                kernel = self.model.layers[0].kernel
                kernel.assign(np.full(kernel.shape, np.nan, "float32"))

    with pytest.warns(RuntimeWarning, match="is not finite") as warned:
        fit(tmp_path, epochs=2, callbacks=[Poisoning()])
    assert len(warned) >= 1
    assert [path.name for path in tmp_path.glob("step-*")] == ["step-000000000002"]


@TORCH_ONLY
@pytest.mark.parametrize("setting", [{"every": 0}, {"keep": 0}, {"every": 1.5}])
def test_settings_that_make_no_sense(setting, tmp_path):
    with pytest.raises(stayfinite.UsageError, match="pass a whole number of 1 or more"):
        stayfinite.SafeCheckpoint(tmp_path, **setting)


@TORCH_ONLY
def test_a_threshold_of_improvement_keeps_its_sign():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    def followed():
        plateau = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=0.5)
        plateau.set_model(model)
        plateau.on_train_begin()
        return plateau, CallbackStates([plateau])

    plateau, states = followed()
    plateau.on_epoch_end(0, {"loss": 2.0})
    again, states_again = followed()
    states_again.restore(states.present())
    for callback in (plateau, again):
        callback.on_epoch_end(1, {"loss": 1.8})
    # The sign that Keras gives it depends on the release.
    assert (again.best, again.min_delta) == (plateau.best, plateau.min_delta)
    assert (plateau.best, abs(plateau.min_delta)) == (2.0, 0.5)


@TORCH_ONLY
def test_superseded_checkpoints_are_gone_at_once_if_deleting_them_is_interrupted(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **settings: None)
    empty = np.zeros(3, "float32")
    for step in (1, 2, 9, 4):
        checkpoint_files.write(tmp_path, Checkpoint(step, {"a": empty}, {}), 2)
    kept = [checkpoint_files.read(path).step for path in checkpoint_files.newest_first(tmp_path)]
    assert kept == [4, 2]


@TORCH_ONLY
def test_full_disk_is_told_and_the_training_goes_on(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    plain = checkpoint_files.write_arrays
    expected, _ = fit(tmp_path / "whole", epochs=1)

    def write_arrays(path, arrays):
        # Python ignores the signal that comes with it, and gets an error as of a full disk.
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            plain(path, arrays)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    monkeypatch.setattr(checkpoint_files, "write_arrays", write_arrays)
    with pytest.warns(RuntimeWarning, match="could not be written .*; the training goes on"):
        weights, _ = fit(tmp_path / "full", epochs=1)
    assert all(map(np.array_equal, weights, expected))
    assert list((tmp_path / "full").iterdir()) == []
