import csv

import keras
import pytest

from stayfinite.networks.training.encoder import build_encoder
from stayfinite.networks.training.settings import SiameseSettings
from tests import warm
from tests.conftest import EXAMPLES
from tests.trainings import stayfinite

OPTIONS = (
    *("--backbone", "small.keras", "--size", 32, "--no-flip", "--out", "out"),
    *("--head-epochs", 0, "--epochs", 0, "--whole-epochs", 3, "--learning-rate", 0.001),
    *("--mining", "semi_hard", "--distance", "squared_euclidean", "--margin", "hinge"),
    *("--classes-per-batch", 12),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("backbone")
    make = str(EXAMPLES / "small_backbone.py")
    script = (
        "import runpy, sys\n"
        "sys.argv[1:] = ['small.keras']\n"
        f"runpy.run_path({make!r}, run_name='__main__')\n"
    )
    done = warm.python(where, script)
    assert done.returncode == 0, done.stderr
    return where


@pytest.mark.slow
def test_it_learns_to_find_letters_that_it_was_never_shown(folder, characters):
    printed = stayfinite("train", "siamese", characters, *OPTIONS, cwd=folder)
    assert "loaded back: its vectors are equal" in printed
    with (folder / "out" / "history.csv").open(encoding="utf-8") as file:
        recalls = [float(row["val_recall_at_1"]) for row in csv.DictReader(file)]
    # One image in 26 is of the same letter; without a training it is about one in two.
    assert max(recalls) > 0.75


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--backbone", "none.keras"), "cannot read the backbone none.keras"),
        (("--size", 64), "takes images of shape (None, 64, 64, 3); received small.keras"),
        (("--weights", "some.h5"), "--weights some.h5 is for a network of keras.applications"),
        (("--backbone", "broken.keras"), "cannot load the backbone broken.keras"),
    ],
)
def test_a_backbone_that_does_not_fit_is_one_line(folder, digits, options, message):
    (folder / "broken.keras").write_bytes(b"no archive")
    options = (*OPTIONS, "--classes-per-batch", 4, *options, "--out", "refused")
    printed = stayfinite("train", "siamese", digits, *options, cwd=folder, code=2)
    assert message in printed.splitlines()[-1]


def test_statistics_of_random_weights_follow_soon():
    random = SiameseSettings("images", backbone="MobileNetV2", weights="none", size=32)
    momenta = {
        layer.momentum
        for layer in build_encoder(random).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert momenta == {0.9}
