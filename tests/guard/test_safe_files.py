"""What is saved while a training is guarded is whole and finite, and what Keras saves."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import io
import os
import resource
import signal
import sys
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

import stayfinite
from stayfinite.files.hdf5_writing import errors_raised_at_end
from stayfinite.files.writing import put_all
from stayfinite.frameworks.keras import subject
from stayfinite.saving.guarded import make_files_safe
from tests import versions
from tests.guard import nets
from tests.guard.test_kept_infinities import network as network_with_bounds
from tests.guard.test_kept_infinities import network_with_trained_bound

X = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
Y = X[:, :1]

# Files and callbacks are those of Keras. What a step does to them is tested on each framework.
SAME_ON_EACH = pytest.mark.slow_on("jax", "tensorflow")


def network():
    keras.utils.set_random_seed(3)
    # With names, as Keras counts those without, and writes the names.
    dense = keras.layers.Dense
    model = keras.Sequential(
        [keras.Input((4,), name="x"), dense(3, name="a"), dense(1, name="b")], name="m"
    )
    model.compile(keras.optimizers.Adam(name="o"), "mse")
    return model


def fit(model, *callbacks, epochs=3, **settings):
    settings = {"batch_size": 8, "epochs": epochs, "verbose": 0, **settings}
    return model.fit(X, Y, callbacks=[*callbacks], **settings)


def poison(model):
    weight = model.layers[0].kernel
    weight.assign(np.full(weight.shape, np.nan, "float32"))


@contextlib.contextmanager
def file_size_limit(size):
    """An error and no signal, as from a disk that is full: Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class AfterEpoch(keras.callbacks.Callback):
    def __init__(self, epoch, do):
        super().__init__()
        self.epoch, self.do = epoch, do

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.do(self.model)


def content(path):
    """What is in a file, but for the times that HDF5 and Keras write into it."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if "metadata" not in name]
            return {name: unpacked(name, archive.read(name)) for name in names}
    return unpacked(path.name, path.read_bytes())


def unpacked(name, data):
    if ".h5" not in name:
        return data
    found = {}

    def add(name, item):
        attributes = {key: str(value) for key, value in item.attrs.items()}
        values = (item.dtype, saved_values(item)) if isinstance(item, h5py.Dataset) else ()
        found[name] = (attributes, *values)

    with h5py.File(io.BytesIO(data), "r") as file:
        add("/", file)
        file.visititems(add)
    return found


def saved_values(item):
    array = item[()]
    if versions.IS_JAX_0_6 and np.issubdtype(array.dtype, np.floating):
        # A guarded step of jaxlib 0.6 rounds otherwise: its momentum differs by 1e-8.
        array = array.round(5)
    return array.tobytes()


ONE_FILE = ("m.keras", "m.h5", "m.weights.h5")
SHARDS = "s.weights.json"
NAMES = (*ONE_FILE, SHARDS) if versions.SAVES_SHARDS else ONE_FILE


def save_all(folder, names=NAMES):
    def save(model):
        folder.mkdir(exist_ok=True)
        for name in names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if name.endswith(".json"):
                    model.save_weights(folder / name, max_shard_size=1e-7)
                elif ".weights" in name:
                    model.save_weights(str(folder / name))
                else:
                    model.save(folder / name)

    return save


def test_files_are_those_of_keras(tmp_path, monkeypatch):
    for name, guards in (("plain", []), ("guarded", [stayfinite.Guard(keep=tmp_path)])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        kinds = keras.callbacks
        fit(
            network(),
            *guards,
            kinds.ModelCheckpoint("c{epoch}.keras"),
            kinds.ModelCheckpoint("c.weights.h5", save_weights_only=True, save_freq=2),
            kinds.BackupAndRestore("backup", delete_checkpoint=False, double_checkpoint=True),
            AfterEpoch(1, save_all(Path("all"))),
        )
    plain, guarded = (
        {path.relative_to(tmp_path / name): content(path)
         for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("plain", "guarded")
    )  # fmt: skip
    assert len(plain) > 5 + len(NAMES)
    assert plain == guarded


def test_a_finite_file_is_kept_and_the_training_told(tmp_path):
    model = network()
    paths = [tmp_path / "c.weights.h5", tmp_path / "backup" / "latest.weights.h5"]
    kept = []

    def remember_and_poison(model):
        kept.extend(path.read_bytes() for path in paths)
        poison(model)

    callbacks = (
        stayfinite.Guard(keep=tmp_path),
        AfterEpoch(0, lambda model: None),
        AfterEpoch(1, lambda model: remember_and_poison(model)),
        keras.callbacks.ModelCheckpoint(paths[0], save_weights_only=True),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
    )
    with (
        pytest.warns(RuntimeWarning, match="not saved, because .* is not finite") as warned,
        pytest.raises(stayfinite.NonFiniteError),
    ):
        fit(model, *callbacks)
    assert len([w for w in warned if "not saved" in str(w.message)]) == 2
    assert [path.read_bytes() for path in paths] == kept
    metadata = tmp_path / "backup" / "training_metadata.json"
    assert metadata.read_text() == '{"epoch": 1, "batch": 0}'


@pytest.mark.parametrize(
    "name",
    [
        ONE_FILE[0],
        *(pytest.param(name, marks=SAME_ON_EACH) for name in ONE_FILE[1:]),
        pytest.param(SHARDS, marks=(SAME_ON_EACH, versions.NO_SHARDS)),
    ],
)
def test_saving_by_hand_is_refused_over_a_finite_file(tmp_path, name):
    save = save_all(tmp_path, [name])

    def save_bad(model):
        save(model)
        before = {path: content(path) for path in tmp_path.iterdir()}
        poison(model)
        with pytest.raises(stayfinite.UsageError, match="the file there is finite and was kept"):
            save(model)
        assert before == {path: content(path) for path in tmp_path.iterdir()}
        with pytest.warns(RuntimeWarning, match=r"was saved, but .* is not finite"):
            model.save_weights(tmp_path / "new.weights.h5")
        assert not all(c.is_finite for c in stayfinite.verify(tmp_path / "new.weights.h5"))
        model.set_weights(network().get_weights())

    fit(network(), stayfinite.Guard(), AfterEpoch(0, save_bad), epochs=1)


@SAME_ON_EACH
def test_a_damaged_file_is_no_finite_one(tmp_path):
    path = tmp_path / f"{'ü' * 115}.weights.h5"

    def save_bad(model):
        good = model.get_weights()
        path.write_bytes(b"torn")
        poison(model)
        with pytest.warns(RuntimeWarning, match="was saved, but .* is not finite"):
            model.save_weights(path)
        model.set_weights(good)

    fit(network(), stayfinite.Guard(), AfterEpoch(0, save_bad), epochs=1)
    assert len(stayfinite.verify(path)) > 4


@pytest.mark.parametrize("make", [network_with_bounds, network_with_trained_bound])
def test_infinities_that_a_variable_may_keep_are_saved(make, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "m.weights.h5", save_weights_only=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not finite")
        fit(make(), stayfinite.Guard(), checkpoint)
        fit(make(), stayfinite.Guard(), stayfinite.SafeCheckpoint(tmp_path / "ck"))
    assert (tmp_path / "m.weights.h5").is_file()
    assert list((tmp_path / "ck").glob("step-*"))


@SAME_ON_EACH
def test_infinite_statistic_of_a_layer_of_keras_is_not_saved(tmp_path):
    def save_bad(model):
        model.save(tmp_path / "m.keras")
        model.layers[0].moving_mean.assign([np.inf] * 4)
        with pytest.raises(stayfinite.UsageError, match="the file there is finite and was kept"):
            model.save(tmp_path / "m.keras")
        model.layers[0].moving_mean.assign([0.0] * 4)

    norm = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((4,)), norm, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    fit(model, stayfinite.Guard(), AfterEpoch(0, save_bad), epochs=1)


@SAME_ON_EACH
def test_a_failure_while_writing_leaves_the_file(tmp_path, monkeypatch):
    path = tmp_path / "m.keras"
    path.symlink_to(tmp_path / "elsewhere.keras")
    model = network()
    with_error = RuntimeError("no room")

    def fail(*args):
        raise with_error

    def save_twice(model):
        model.save(path)
        before = path.read_bytes()
        monkeypatch.setattr(type(model.layers[0]), "save_own_variables", fail)
        with pytest.raises(RuntimeError, match="no room"):
            model.save(path)
        monkeypatch.undo()
        assert path.read_bytes() == before

    fit(model, stayfinite.Guard(), AfterEpoch(0, save_twice), epochs=1)
    assert path.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.keras", "m.keras"]


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on each framework")
def test_errors_name_the_file_of_the_user(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(500)])
    release = make_files_safe(model)
    Path("folder.keras").mkdir()
    with pytest.raises(ValueError, match=r"^The filename .* filepath=m\.weights\.json$"):
        model.save_weights("m.weights.json")
    for name in ("m.weights.h5", "m.keras"):
        full = pytest.raises(OSError, match=rf"^\[Errno 27\] File too large: '{name}'$")
        with file_size_limit(10_000), full:
            model.save_weights(name) if "weights" in name else model.save(name)
        too_long = "x" * 300 + name
        with pytest.raises(OSError, match=rf"File name too long.*'{too_long}'"):
            model.save_weights(too_long) if "weights" in name else model.save(too_long)
    with pytest.raises(IsADirectoryError, match=r"'folder\.keras'"):
        model.save("folder.keras")
    release()
    assert [path.name for path in tmp_path.iterdir()] == ["folder.keras"]


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on each framework")
def test_the_error_of_a_backup_names_its_folder(tmp_path):
    (tmp_path / "file").touch()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "file" / "backup")
    with pytest.raises(NotADirectoryError) as caught:
        fit(network(), stayfinite.Guard(), backup)
    assert ".new" not in str(caught.value)


def test_shards_are_moved_once_all_are_on_the_disk(tmp_path, monkeypatch):
    new, there = tmp_path / "new", tmp_path / "there"
    new.mkdir()
    there.mkdir()
    files = [new / name for name in ("a", "b", "c")]
    for file in files:
        file.write_text("new")
        (there / file.name).write_text("old")
    synced = []

    def fail_at_the_last(path):
        synced.append(path.name)
        if path.name == "c":
            raise OSError(5, "no")

    monkeypatch.setattr("stayfinite.files.writing._sync", fail_at_the_last)
    with pytest.raises(OSError, match="no"):
        put_all(files, there)
    assert synced == ["a", "b", "c"]
    assert {path.read_text() for path in there.iterdir()} == {"old"}


class Mine(keras.callbacks.EarlyStopping):
    """As users write them."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.seen = dict(logs)


NOT_FINITE = (np.nan, np.inf, -np.inf)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("value", NOT_FINITE)
def test_what_is_not_finite_is_never_best(tmp_path, mode, value):
    kinds = keras.callbacks
    model = network()
    path = tmp_path / "best.weights.h5"
    callbacks = [
        Mine("x", mode=mode, patience=2, restore_best_weights=True),
        kinds.ReduceLROnPlateau("x", mode=mode, patience=2, min_delta=0),
        kinds.ModelCheckpoint(
            path, "x", mode=mode, save_best_only=True, save_weights_only=True, verbose=1
        ),
    ]
    worse, better = (3.0, 2.0) if mode == "min" else (2.0, 3.0)
    release = make_files_safe(callbacks[0])
    try:
        for callback in callbacks:
            callback.set_model(model)
            callback.on_train_begin()

        def end(epoch, number):
            for callback in callbacks:
                callback.on_epoch_begin(epoch)
                logs = {"x": number}
                callback.on_epoch_end(epoch, logs)
                np.testing.assert_equal(logs["x"], number)

        end(0, value)
        # Keras before 3.9 begins with an infinite one, which is not that of a step either.
        assert not any(np.isfinite(callback.best or np.nan) for callback in callbacks)
        assert callbacks[0].best_weights is None
        assert not path.exists()
        end(1, worse)
        assert path.exists()
        end(2, value)
        assert [callback.best for callback in callbacks] == [worse] * 3
        assert (callbacks[0].wait, callbacks[1].wait) == (1, 1)
        end(3, better)
        assert [callback.best for callback in callbacks] == [better] * 3
        end(4, value)
        end(5, value)
        assert model.stop_training
        np.testing.assert_equal(callbacks[0].seen["x"], value)
    finally:
        release()


def functions():
    kinds = keras.callbacks
    return [
        keras.Model.save,
        keras.Model.save_weights,
        keras.saving.save_model,
        kinds.ModelCheckpoint.on_epoch_end,
        kinds.BackupAndRestore.on_train_end,
        kinds.EarlyStopping.on_epoch_end,
        kinds.ReduceLROnPlateau.on_epoch_end,
    ]


class Interrupt(Exception):
    pass


@SAME_ON_EACH
@pytest.mark.parametrize("end", ["good", "bad", "exception"])
def test_keras_is_given_back_at_the_end(tmp_path, end):
    gc.collect()  # a guarded step of another test may hold them
    plain = functions()
    during = []

    def look(model):
        during.extend(functions())
        if end == "bad":
            poison(model)
        if end == "exception":
            raise Interrupt

    def train():
        fit(network(), stayfinite.Guard(keep=tmp_path), AfterEpoch(0, look))

    if end == "good":
        train()
    elif end == "bad":
        with pytest.raises(stayfinite.NonFiniteError):
            train()
    else:
        with contextlib.suppress(Interrupt):
            train()
        sys.last_traceback = None
        gc.collect()
    assert not any(one is other for one, other in zip(plain, during, strict=True))
    assert functions() == plain


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on each framework")
def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_file(tmp_path):
    path = tmp_path / "m.weights.h5"
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(1000)])
    model.save_weights(path)
    for delay in np.random.default_rng(1).uniform(0.001, 0.15, 12):
        child = os.fork()
        if not child:
            try:
                make_files_safe(model)
                while True:
                    model.save_weights(path)
            finally:
                os._exit(1)
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        assert {count.num_values for count in stayfinite.verify(path)} == {1000, 10**6}
    left = [folder for folder in tmp_path.iterdir() if folder != path]
    assert left
    for folder in left:
        os.utime(folder, (0, 0))
    release = make_files_safe(model)
    model.save_weights(path)
    release()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="the same on each framework")
@pytest.mark.parametrize("size", [2**10, 2**14, 2**20, 3 * 2**20])
@pytest.mark.parametrize("name", ["m.weights.h5", "m.h5"])
def test_a_full_disk_leaves_the_file_and_nothing_else(name, size, tmp_path):
    path = tmp_path / name
    model = keras.Sequential([keras.Input((1000,)), keras.layers.Dense(500)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    method = "save_weights" if "weights" in name else "save"
    getattr(model, method)(path)
    before = path.read_bytes()
    child = os.fork()
    if not child:
        code = 1
        try:
            make_files_safe(model)
            with file_size_limit(size):
                # More than once: HDF5 may crash after its first error.
                for _ in range(3):
                    with contextlib.suppress(OSError):
                        getattr(model, method)(path)
                        code = 2
            # It may crash, too, when the files are deleted.
            gc.collect()
            code = 0 if code == 1 else code
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@SAME_ON_EACH
@pytest.mark.parametrize("name", ["m.weights.h5", "m.h5"])
def test_a_file_may_hold_a_model_that_keras_does_not_overwrite(name, tmp_path):
    model, path = network(), tmp_path / name
    release = make_files_safe(model)
    with file_size_limit(1000), pytest.raises(OSError, match="File too large"):
        getattr(model, "save_weights" if "weights" in name else "save")(path, overwrite=False)
    release()
    assert list(tmp_path.iterdir()) == []


@SAME_ON_EACH
def test_only_the_files_of_a_guarded_save_are_opened_by_way_of_python(tmp_path):
    plain = h5py.File.__init__
    with errors_raised_at_end():
        with h5py.File(tmp_path / "ours.h5", "w") as ours:
            assert ours.driver == "fileobj"
            assert ours.filename == str(tmp_path / "ours.h5")
            ours["a"] = np.arange(5)
        with h5py.File(tmp_path / "ours.h5", "a") as ours:
            ours["b"] = np.arange(7)
        with pytest.raises(FileExistsError), h5py.File(tmp_path / "ours.h5", "x"):
            pass
        with h5py.File(tmp_path / "ours.h5") as read:
            assert read.driver == "sec2" and list(read) == ["a", "b"]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            other = pool.submit(h5py.File, tmp_path / "theirs.h5", "w").result()
        assert other.driver == "sec2"
        other.close()
    assert h5py.File.__init__ is plain


@SAME_ON_EACH
def test_an_interrupt_is_raised_and_an_error_of_the_disk_not_in_its_place(tmp_path):
    with pytest.raises(KeyboardInterrupt), file_size_limit(100), errors_raised_at_end():
        h5py.File(tmp_path / "w.h5", "w").close()
        raise KeyboardInterrupt
    full = pytest.raises(OSError, match="File too large")
    with full as caught, file_size_limit(100), errors_raised_at_end():
        h5py.File(tmp_path / "w.h5", "w").close()
        raise ValueError("what HDF5 says of what it reads there")
    assert isinstance(caught.value.__cause__, ValueError)


def test_weights_beside_a_bad_optimizer_are_not_kept_as_good(tmp_path):
    def spoil(model):
        moment = model.optimizer.variables[2]
        moment.assign(np.full(moment.shape, np.nan, "float32"))

    with pytest.raises(stayfinite.NonFiniteError) as caught:
        fit(network(), AfterEpoch(0, spoil), stayfinite.Guard(keep=tmp_path))
    kept = caught.value.incident.kept
    assert kept.weights is None
    names = {path.name for path in Path(kept.incident).iterdir()}
    assert "state.safetensors" in names and "last_good.weights.h5" not in names


def test_full_disk_leaves_an_incident_without_weights(tmp_path, monkeypatch):
    save = subject.KerasSubject.save_weights

    def on_full_disk(*args):
        with file_size_limit(10_000):
            save(*args)

    monkeypatch.setattr(subject.KerasSubject, "save_weights", on_full_disk)
    x, y = nets.table()
    with pytest.raises(stayfinite.NonFiniteError) as caught:
        nets.mlp().fit(x * np.nan, y, verbose=0, callbacks=[stayfinite.Guard(keep=tmp_path)])
    kept = caught.value.incident.kept
    assert kept.weights is None
    names = {path.name for path in Path(kept.incident).iterdir()}
    assert "state.safetensors" in names and "last_good.weights.h5" not in names
    note = "the last good weights have no file of their own: File too large"
    assert note in caught.value.incident.notes
