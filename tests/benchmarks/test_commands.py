"""The three commands, each on the smallest thing that it does."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


def run(command, *arguments):
    backend = keras.backend.backend()
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{command}", *map(str, arguments)],
        cwd=ROOT,
        env={"PATH": "", "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_overhead_is_measured(tmp_path):
    path = tmp_path / "numbers.json"
    done = run("overhead", "--network", "mlp", "--blocks", 2, "--peers", "--json", path)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(path.read_text())
    bare, guarded, *peers = answer["rows"]
    assert (bare["variant"], guarded["variant"]) == ("bare", "stayfinite.Guard")
    assert len(guarded["ratios"]) == 2
    assert "TerminateOnNaN" in [row["variant"] for row in peers]
    assert answer["peak_bare"]["peak_bytes"] > 2**20
    assert "stayfinite.Guard" in done.stdout


def test_explanation_is_measured(tmp_path):
    path = tmp_path / "numbers.json"
    done = run("explain", "--network", "mlp", "--json", path)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(path.read_text())
    explained = answer["explain"]
    assert (explained["step"], explained["cause"]) == (2, "log-of-zero, confirmed")
    assert set(explained["parts"]) >= {"diagnose", "common advice", "fix"}
    assert answer["eager"]["eager_step_seconds"] > 0


def test_tests_of_keras_are_compared():
    done = run("keras_tests", "callbacks/terminate_on_nan_test.py")
    # They train on NaN on purpose, so the guard stops them, and nothing else differs.
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differ otherwise                   0" in done.stdout
    assert "Stopped at a non-finite step" in done.stdout
