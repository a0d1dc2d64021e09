"""Transfer learning from ImageNet weights finds letters that it was never shown."""

import csv
import json
import subprocess
import sys

import pytest

from tests.conftest import EXAMPLES
from tests.trainings import stayfinite

OPTIONS = (
    *("--backbone", "EfficientNetLite0", "--size", 64, "--no-flip", "--out", "out"),
    *("--activation", "relu", "--margin", "hinge", "--margin-size", 2),
    *("--classes-per-batch", 16, "--images-per-class", 3, "--steps-per-epoch", 40),
    *("--head-epochs", 2, "--epochs", 1),
)


@pytest.mark.slow
def test_recall_rises_above_that_of_the_pretrained_network(tmp_path):
    make = EXAMPLES / "character_images.py"
    options = ["letters", "--per-letter", "12", "--side", "64"]
    subprocess.run([sys.executable, str(make), *options], cwd=tmp_path, check=True)
    stayfinite("train", "siamese", "letters", *OPTIONS, cwd=tmp_path)
    before = json.loads((tmp_path / "out" / "progress.json").read_text())["baselines"]
    with (tmp_path / "out" / "history.csv").open(encoding="utf-8") as file:
        recall = max(float(row["val_recall_at_1"]) for row in csv.DictReader(file))
    assert before["pixels"] < before["backbone"] < recall - 0.03
