"""The log and the report on the page about trainers are those of the example."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests import warm

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "trainers.md"
# Digits that another processor or release may compute differently.
_NUMBER = re.compile(r"\d+\.\d+(?:e-\d+)?")

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("transformers")
    shutil.copy(ROOT / "examples" / "finetune_embeddings.py", tmp_path)
    return tmp_path


@pytest.fixture
def shown():
    section = PAGE.read_text(encoding="utf-8").split("## A falling loss with NaN weights")[1]
    return re.findall(r"```text\n(.*?)```", section, flags=re.DOTALL)[:2]


def printed(text):
    return [_NUMBER.sub("0", line) for line in text.splitlines()]


def lines_of(fence):
    return [line for line in printed(fence) if "..." not in line]


def test_the_log_falls_to_0_over_weights_that_are_nan(folder, shown):
    done = warm.script(folder, "finetune_embeddings.py")
    assert done.returncode == 0
    assert not [line for line in lines_of(shown[0]) if line not in printed(done.stderr)]


def test_the_guarded_run_stops_before_the_update(folder, shown):
    done = warm.stayfinite(folder, "run", "--json", "run.json", "finetune_embeddings.py")
    assert done.returncode == 3
    assert not [line for line in lines_of(shown[1]) if line not in printed(done.stderr)]
    [incident] = json.loads((folder / "run.json").read_text(encoding="utf-8"))["incidents"]
    assert (incident["where"]["step"], incident["origin"]["samples"]) == (24, [4])
    assert incident["made_again"].endswith("bit-equal to training")


def test_the_fixed_training_ends_with_finite_weights(folder):
    done = warm.script(folder, "finetune_embeddings.py", "--fixed")
    assert "0 of 37 weights are not finite" in done.stderr
