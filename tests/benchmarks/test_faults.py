"""A few injections of each way, and the table of their results."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from benchmarks.faults.kinds import NUMBERS, PROCESSES
from benchmarks.faults.result import Result
from benchmarks.faults.table import markdown, misses

ROOT = Path(__file__).parents[2]
KINDS = (
    "NaN, gradients",
    "inf, weights",
    "huge value, moments, rollback",
    "SIGKILL, checkpoints",
    "SIGTERM, incidents",
    "disk full, checkpoints",
    "disk full, incidents",
    "folder deleted, checkpoints",
)


@pytest.mark.slow
def test_faults_are_noticed_and_nothing_is_lost(tmp_path):
    backend, path = keras.backend.backend(), tmp_path / "table.md"
    command = [sys.executable, "-m", "benchmarks.faults", "--backend", backend, "--num", "40"]
    python = ["--python", f"{backend}={sys.executable}"]
    done = subprocess.run(
        [*command, *python, "--markdown", path, "--only", *KINDS],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ")[0].removeprefix("| ") for line in path.read_text().splitlines()]
    assert [row for row in rows if row in KINDS] == list(KINDS)


def test_each_kind_has_a_name_of_its_own():
    names = [kind.name for kind in (*NUMBERS, *PROCESSES)]
    assert len(set(names)) == len(names)
    assert {name for name in names if name.endswith(", rollback")} == {
        "huge value, moments, rollback",
        "bit flip, moments, rollback",
    }


def test_table_and_misses():
    good = Result("NaN, loss", has_effect=True, noticed=True, num_late=2, same_bits=True)
    harmless = Result("NaN, loss", has_effect=False, noticed=True, same_bits=True)
    lost = Result("SIGKILL, any step", num_damaged=1, num_lost=9, went_on=True, right_exit=False)
    lines = markdown({"torch": [good, harmless, lost]}).splitlines()
    assert lines[2] == "| NaN, loss | 2 | 1 | 1 of 1 | 2 | - | - | - | - | 0 |"
    assert lines[3] == "| SIGKILL, any step | 1 | - | - | - | 1 | 9 | 0 | 1 | - |"
    assert lines[4] == "| all | 3 | 1 | 1 of 1 | 2 | 1 | 9 | 0 | 1 | 0 |"
    both = markdown({"jax": [good], "torch": [good, harmless]}).splitlines()
    assert both[2] == "| NaN, loss | 1 / 2 | 0 / 1 | 1 of 1 | 2 | - | - | - | - | 0 |"
    assert misses([good, harmless, lost], most_lost=6) == [lost]
