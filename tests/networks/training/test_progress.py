import keras
import numpy as np
import pytest

from stayfinite.errors import UsageError
from stayfinite.networks.training.folder import OutputFolder
from stayfinite.networks.training.progress import (
    KeepProgress,
    Progress,
    best_row,
    load_last,
    read_progress,
)

EPOCHS = 8


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def build():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return model


def start(folder, *extra):
    """A training as the trainings of the package are made: it goes on, or begins."""
    progress = read_progress(folder, {"data": "a"})
    model = load_last(folder, progress) if progress.model else build()
    counting = {
        "reduce": keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=0.5),
        "stop": keras.callbacks.EarlyStopping("loss", patience=6, min_delta=0.5),
    }
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)), rng.normal(size=(32, 1))
    keep = KeepProgress(folder, progress, counting)
    model.fit(
        x,
        y,
        batch_size=8,
        shuffle=False,
        initial_epoch=progress.epoch,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[*extra, *counting.values(), keep],
    )
    return model, progress


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_interrupted_it_ends_as_it_would_have(tmp_path, epoch):
    whole, parts = OutputFolder(tmp_path / "whole"), OutputFolder(tmp_path / "parts")
    whole.make(), parts.make()
    expected, through = start(whole)
    with pytest.raises(KeyboardInterrupt):
        start(parts, Interrupt(epoch))
    assert read_progress(parts, {"data": "a"}).epoch == epoch
    found, progress = start(parts)
    assert len(through.rows) == len(progress.rows) >= 6
    for one, other in zip(through.rows, progress.rows, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert {row["learning_rate"] for row in progress.rows} > {np.float32(0.05)}
    for one, other in zip(expected.get_weights(), found.get_weights(), strict=True):
        assert np.array_equal(one, other)
    assert progress.stopped == through.stopped
    assert len(list(parts.root.glob("last-*.keras"))) == 1


def test_other_settings_are_refused(tmp_path):
    folder = OutputFolder(tmp_path)
    start(folder)
    with pytest.raises(
        UsageError, match="was started with data='a'; pass another --out, or --fresh"
    ):
        read_progress(folder, {"data": "b"})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"epoch": 3}', '{"settings": {}, "other": 1}'])
def test_a_damaged_file_is_named(tmp_path, text):
    folder = OutputFolder(tmp_path)
    folder.progress.write_text(text)
    with pytest.raises(UsageError, match=r"progress.json is damaged .*--fresh"):
        read_progress(folder, {})


def test_a_damaged_model_is_named(tmp_path):
    folder = OutputFolder(tmp_path)
    _, progress = start(folder)
    (tmp_path / progress.model).write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"last-.*keras cannot be read .*--fresh"):
        load_last(folder, progress)


def test_the_best_epoch_is_a_finite_one():
    rows = [{"a": float("nan")}, {"a": 2.0}, {"a": 1.0, "b": 0}, {"a": 1.0, "b": 1}, {"c": 0.0}]
    assert best_row(rows, "a") == {"a": 1.0, "b": 0}
    assert best_row(rows, "a", largest=True) == {"a": 2.0}
    assert best_row(rows[:1], "a") is None
    assert Progress({}).rows == []
