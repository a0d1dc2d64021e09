import csv
import json
import shutil

import numpy as np
import pytest

from tests import warm
from tests.conftest import EXAMPLES
from tests.trainings import stayfinite

RELOAD = """
import sys
sys.modules['stayfinite'] = None
from pathlib import Path
import keras, numpy as np
whole = keras.saving.load_model('out/encoder.keras')
rebuilt = keras.models.model_from_json(Path('out/encoder.architecture.json').read_text())
rebuilt.load_weights('out/encoder.weights.h5')
images = np.random.default_rng(0).random((3, 32, 32, 3), 'float32') * 255
one, other = (model.predict_on_batch(images) for model in (whole, rebuilt))
assert np.array_equal(one, other) and one.shape == (3, 16)
np.testing.assert_allclose(np.linalg.norm(one, axis=-1), 1, rtol=1e-5)
"""
RELOAD_EXAMPLE = f"""
import runpy, sys
sys.modules['stayfinite'] = None
sys.argv = ['reload_network.py', 'out/encoder']
runpy.run_path({str(EXAMPLES / "reload_network.py")!r}, run_name='__main__')
"""
SMALL = (
    *("--backbone", "MobileNetV2", "--weights", "none", "--size", 32, "--embedding-dim", 16),
    *("--classes-per-batch", 4, "--images-per-class", 2, "--steps-per-epoch", 2),
    *("--head-epochs", 1, "--epochs", 1, "--whole-epochs", 1, "--test", 0.25),
)


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def images(digits, tmp_path_factory):
    """A few digits of each class, a class with one image, and files that are none."""
    folder = tmp_path_factory.mktemp("siamese") / "digits"
    for part in digits.iterdir():
        (folder / part.name).mkdir(parents=True)
        for path in sorted(part.iterdir())[:6]:
            shutil.copy(path, folder / part.name)
    (folder / "alone").mkdir()
    shutil.copy(next((folder / "0").iterdir()), folder / "alone" / "only.png")
    (folder / "1" / "empty.png").write_bytes(b"")
    (folder / "2" / "text.jpg").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def trained(images):
    arguments = ("train", "siamese", "digits", "--out", "out", *SMALL)
    return images.parent, arguments, stayfinite(*arguments, cwd=images.parent)


def test_everything_that_was_promised_is_there(trained):
    cwd, _, printed = trained
    names = {path.name for path in (cwd / "out").iterdir()}
    for figure in ("curves", "verification", "embedding"):
        assert {f"{figure}.png", f"{figure}.svg"} <= names
    assert {"encoder.keras", "encoder.architecture.json", "encoder.weights.h5"} <= names
    assert "loaded back: its vectors are equal" in printed
    assert "without a training: recall@1 of the pixels" in printed
    problems = rows_of(cwd / "out" / "problems.csv")
    assert sorted(row["path"].rpartition("/")[2] for row in problems) == ["empty.png", "text.jpg"]


def test_each_phase_has_its_epochs(trained):
    rows = rows_of(trained[0] / "out" / "history.csv")
    assert [row["phase"] for row in rows] == ["head", "normalization", "everything"]
    assert all(0 <= float(row["val_recall_at_1"]) <= float(row["val_recall_at_5"]) for row in rows)
    curve = json.loads((trained[0] / "out" / "verification.json").read_text())
    assert 0 <= curve["equal_error_rate"] <= 1


def test_each_class_has_one_use(trained):
    cwd, _, printed = trained
    classes = json.loads((cwd / "out" / "classes.json").read_text())
    assert len(classes["validation"]) >= 2 and len(classes["test"]) >= 2
    names = [name for part in classes.values() for name in part]
    assert len(names) == len(set(names)) == 11
    assert "alone" in classes["training"]
    assert "images of test classes; chance" in printed
    assert f"of {len(classes['test'])} test classes" in printed


def test_the_encoder_loads_in_plain_keras(trained):
    done = warm.python(trained[0], RELOAD)
    assert done.returncode == 0, done.stderr


def test_predictions_in_another_process_are_bit_identical(trained):
    done = warm.python(trained[0], RELOAD_EXAMPLE)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-2:] == [
        ".architecture.json and .weights.h5: equal",
        ".keras: equal",
    ]


@pytest.mark.slow
def test_triplets_at_random(images):
    options = ("--mining", "none", *SMALL, "--whole-epochs", 0)
    stayfinite("train", "siamese", "digits", "--out", "random", *options, cwd=images.parent)
    rows = rows_of(images.parent / "random" / "history.csv")
    assert [row["phase"] for row in rows] == ["head", "normalization"]
    assert np.isfinite([float(row["loss"]) for row in rows]).all()


def test_weights_that_cannot_be_had_are_one_line(images):
    options = (*SMALL, "--weights", "nowhere.h5", "--out", "none")
    printed = stayfinite("train", "siamese", "digits", *options, cwd=images.parent, code=2)
    assert "cannot build MobileNetV2 with --weights nowhere.h5" in printed.splitlines()[-1]
