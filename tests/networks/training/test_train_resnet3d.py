import csv
import json
import shutil

import numpy as np
import pytest

from tests import warm
from tests.trainings import SMALL_VIDEOS, stayfinite

# In a process without stayfinite: what was saved is for plain Keras.
RELOAD = """
import sys
sys.modules['stayfinite'] = None
from pathlib import Path
import keras, numpy as np
whole = keras.saving.load_model('out/model.keras')
rebuilt = keras.models.model_from_json(Path('out/model.architecture.json').read_text())
rebuilt.load_weights('out/model.weights.h5')
clips = np.random.default_rng(0).random((2, 4, 16, 16, 3), 'float32')
one, other = (model.predict_on_batch(clips) for model in (whole, rebuilt))
assert np.array_equal(one, other) and np.isfinite(one).all() and one.shape == (2, 6)
"""


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(videos, tmp_path_factory):
    """A training of two epochs, of videos with broken ones among them."""
    cwd = tmp_path_factory.mktemp("training")
    shutil.copytree(videos, cwd / "videos")
    (cwd / "videos" / "left" / "empty.mp4").write_bytes(b"")
    (cwd / "videos" / "left" / "text.avi").write_text("not a video")
    (cwd / "videos" / "right" / "notes.txt").write_text("not a video either")
    whole = next((cwd / "videos" / "up").glob("*.mp4")).read_bytes()
    (cwd / "videos" / "up" / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    options = ("--out", "out", "--epochs", 2, "--test", 0.25)
    arguments = ("train", "resnet3d", "videos", *options, *SMALL_VIDEOS)
    return cwd, arguments, stayfinite(*arguments, cwd=cwd)


def test_everything_that_was_promised_is_there(trained):
    cwd, _, printed = trained
    names = {path.name for path in (cwd / "out").iterdir()}
    assert names >= {
        "index.html",
        "history.csv",
        "curves.png",
        "curves.svg",
        "confusion.png",
        "confusion.svg",
        "confusion.csv",
        "model.keras",
        "model.architecture.json",
        "model.weights.h5",
        "model.sample.npz",
        "classes.json",
        "problems.csv",
    }
    assert "incidents" not in names and not any("partial" in name for name in names)
    assert "loaded back: predictions are equal" in printed
    used = "18 videos to train on, 6 to validate on, 6 to test on, 6 classes, 4 files left out"
    assert used in printed and "on 6 test videos" in printed


def test_moving_statistics_of_random_weights_follow_soon(trained):
    architecture = json.loads((trained[0] / "out" / "model.architecture.json").read_text())
    layers = architecture["config"]["layers"]
    assert {
        layer["config"]["momentum"]
        for layer in layers
        if layer["class_name"] == "BatchNormalization"
    } == {0.9}


def test_broken_files_are_listed_with_their_reasons(trained):
    problems = rows_of(trained[0] / "out" / "problems.csv")
    names = [row["path"].rpartition("/")[2] for row in problems]
    assert sorted(names) == ["cut.mp4", "empty.mp4", "notes.txt", "text.avi"]
    assert all(row["reason"] for row in problems)


def test_the_history_has_a_row_an_epoch(trained):
    rows = rows_of(trained[0] / "out" / "history.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    for row in rows:
        figures = [float(row[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")]
        assert np.isfinite(figures).all()


def test_the_confusion_matrix_counts_every_test_video(trained):
    rows = rows_of(trained[0] / "out" / "confusion.csv")
    names = json.loads((trained[0] / "out" / "classes.json").read_text())
    assert [row["true"] for row in rows] == names
    assert sum(int(row[name]) for row in rows for name in names) == 6


def test_it_loads_in_plain_keras(trained):
    done = warm.python(trained[0], RELOAD)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_started_again_it_trains_no_further(trained):
    cwd, arguments, _ = trained
    before = (cwd / "out" / "history.csv").read_text()
    assert "the 2 epochs of out are done" in stayfinite(*arguments, cwd=cwd)
    assert (cwd / "out" / "history.csv").read_text() == before


def test_other_settings_want_another_folder(trained):
    cwd, arguments, _ = trained
    printed = stayfinite(*arguments, "--l2", "0", cwd=cwd, code=2)
    assert printed.startswith("stayfinite: the training in out was started with l2=0.0001")
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    "data, said",
    [
        ("nowhere", "nowhere does not exist"),
        ("videos/left", "videos/left has no sub-folder"),
    ],
)
def test_bad_data_is_one_line(trained, data, said):
    printed = stayfinite("train", "resnet3d", data, "--out", "x", cwd=trained[0], code=2)
    assert said in printed and printed.count("\n") == 1


def test_a_broken_file_can_be_fatal(trained):
    arguments = ("train", "resnet3d", "videos", "--out", "y", "--problems", "raise", *SMALL_VIDEOS)
    printed = stayfinite(*arguments, cwd=trained[0], code=2)
    assert printed.startswith("stayfinite: ") and printed.count("\n") == 1


@pytest.mark.slow
def test_a_non_finite_step_stops_with_its_report(trained):
    cwd, *_ = trained
    options = ("--learning-rate", "1e38", "--epochs", "3", "--l2", "1", *SMALL_VIDEOS)
    printed = stayfinite("train", "resnet3d", "videos", "--out", "z", *options, cwd=cwd, code=3)
    assert "error[" in printed
    assert list((cwd / "z" / "incidents").glob("incident-*/incident.json"))
