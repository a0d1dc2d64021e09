"""Hand-written loops over Keras models in unchanged scripts, under `stayfinite run`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from tests import warm

SCRIPTS = Path(__file__).parent / "loop_scripts"
# The step that fails with the naive formula, and its cause.
BAD_STEPS = {
    "jax_eager": (3, "overflow"),
    "jax_method": (3, "overflow"),
    "jax_optax": (3, "overflow"),
    # The seventh is the first update in the fourth iteration.
    "tensorflow_eager": (7, "log-of-zero"),
    "tensorflow_gan": (4, "log-of-zero"),
    "tensorflow_method": (3, "singular-gradient"),
    "tensorflow_noise": (4, "singular-gradient"),
    "tensorflow_numpy": (3, "bad-update"),
}
# As "E0000 00:00:1795991431.866577    2435 cuda_platform.cc:52] " where there is no GPU, or with a
# date in place of the code; the first such line may be preceded by a warning about all of them.
LOG_OF_TENSORFLOW = re.compile(
    r"[IWEF]\d{4} [\d:.]+ +\d+ |\d{4}-\d\d-\d\d [\d:.]+: [IWEF] |WARNING: All log messages before "
)
SLOW = {"jax_method", "tensorflow_gan"}
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else [])
    for name in BAD_STEPS
    if name.startswith(f"{keras.backend.backend()}_")
]


@pytest.fixture(params=PARAMETERS)
def script(request, tmp_path):
    shutil.copy(SCRIPTS / f"{request.param}.py", tmp_path / "train.py")
    return request.param


def printed(done):
    """The lines of the script; the log of TensorFlow, which has times in it, is left out."""
    return [line for line in done.stderr.splitlines() if not LOG_OF_TENSORFLOW.match(line)]


def test_a_healthy_loop_prints_the_same_with_and_without_guard(script, tmp_path):
    plain = warm.script(tmp_path, "train.py")
    guarded = warm.stayfinite(tmp_path, "run", "--json", "run.json", "train.py")
    assert (plain.returncode, printed(plain)) == (guarded.returncode, printed(guarded))
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["num_steps"] > 5


def test_a_bad_step_stops_the_loop_at_its_line(script, tmp_path):
    done = warm.stayfinite(tmp_path, "run", "--json", "run.json", "train.py", "naive")
    assert done.returncode == 3, done.stderr
    assert len(re.findall(r"^error\[", done.stderr, re.MULTILINE)) == 1
    incident = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["incidents"][0]
    found = incident["where"]["step"], incident["cause"]["name"]
    assert found == BAD_STEPS[script], done.stderr
    lines = (tmp_path / "train.py").read_text(encoding="utf-8").splitlines()
    assert "# <- here" in lines[incident["origin"]["line"] - 1]
    assert Path(incident["kept"]["weights"]).exists()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of a loop of JAX")
def test_a_loop_of_jax_needs_no_keras(tmp_path):
    shutil.copy(SCRIPTS / "jax_optax.py", tmp_path / "train.py")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "keras.py").write_text("raise ModuleNotFoundError('No module named keras')\n")
    done = subprocess.run(
        [sys.executable, "-m", "stayfinite", "run", "train.py", "naive"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(hidden), *sys.path])},
    )
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error[overflow]"), done.stderr


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of a loop of TensorFlow")
def test_a_loop_that_draws_is_made_again_without_its_effects(tmp_path):
    shutil.copy(SCRIPTS / "tensorflow_noise.py", tmp_path / "train.py")
    warm.stayfinite(tmp_path, "run", "--json", "run.json", "train.py", "naive")
    incident = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["incidents"][0]
    assert (incident["fix"]["kind"], incident["fix"]["verified"]) == ("source", True)
    written = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in written] == [str(step) for step in range(10)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of a strategy of TensorFlow")
def test_a_step_of_a_strategy_runs_without_guard_and_says_so(tmp_path):
    shutil.copy(SCRIPTS / "tensorflow_replicas.py", tmp_path / "train.py")
    plain = warm.script(tmp_path, "train.py")
    guarded = warm.stayfinite(tmp_path, "run", "train.py")
    lines = [line for line in printed(guarded) if line not in printed(plain)]
    assert lines == [
        "stayfinite: the step step() runs without the guard: it is distributed by a tf.distribute "
        "strategy"
    ]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of a step of JAX")
def test_a_bad_gradient_in_a_compiled_update_is_explained_by_the_call_that_gave_it(tmp_path):
    shutil.copy(SCRIPTS / "jax_eager.py", tmp_path / "train.py")
    done = warm.stayfinite(tmp_path, "run", "--json", "run.json", "train.py", "naive", "compiled")
    incident = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["incidents"][0]
    assert (incident["where"]["step"], incident["cause"]["name"]) == (3, "overflow"), done.stderr
    assert incident["fix"]["verified"]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of a step of JAX")
def test_a_step_whose_state_is_not_known_runs_without_guard_and_says_so(tmp_path):
    shutil.copy(SCRIPTS / "jax_unknown.py", tmp_path / "train.py")
    plain = warm.script(tmp_path, "train.py")
    guarded = warm.stayfinite(tmp_path, "run", "train.py")
    assert guarded.returncode == 0
    (line,) = [n for n in guarded.stderr.splitlines() if n not in plain.stderr.splitlines()]
    assert line.startswith("stayfinite: the step step() runs without the guard: ")
    assert "guarded(step, state=" in line
