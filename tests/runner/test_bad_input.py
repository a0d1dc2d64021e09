"""What cannot be guarded: one clear line and exit code 2, or unguarded where that is asked for."""

from __future__ import annotations

import os
from importlib.util import find_spec

import keras
import pytest

from tests import warm
from tests.runner.conftest import LAUNCHES, launch

RUN = LAUNCHES["command"]
BACKEND = keras.backend.backend()

OWN_TRAIN_FUNCTION = """
import keras
import numpy as np

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def make_train_function(self, force=False):
        return super().make_train_function(force)

model = Own()
model.compile("sgd", loss="mse")
for _ in range(2):
    model.fit(np.ones((8, 2)), np.ones(8), verbose=0)
print("trained")
"""

GOES_ON = """
try:
    import keras
except ValueError as error:
    print("without Keras")
"""


def run(*args, backend=BACKEND):
    return launch(*RUN, *args, env={**os.environ, "KERAS_BACKEND": backend})


def test_train_function_of_the_users_own(script, tmp_path):
    done = warm.stayfinite(tmp_path, "run", script(OWN_TRAIN_FUNCTION))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert line.startswith("stayfinite: Own overrides make_train_function")


def test_it_trains_unguarded_only_when_asked(script, tmp_path):
    done = warm.stayfinite(tmp_path, "run", "--unguarded-ok", script(OWN_TRAIN_FUNCTION))
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    lines.remove("trained")
    first, *rest = lines
    assert first.endswith("this training runs without it")
    # That no step was guarded. On PyTorch the updates are judged, as those of a loop.
    assert len(rest) == (0 if BACKEND == "torch" else 1)


def test_backend_that_keras_does_not_have(script):
    done = run(script("import keras"), backend="nowhere")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("stayfinite: Keras has no backend 'nowhere'; set KERAS_BACKEND to")


@pytest.mark.parametrize("name", ["jax", "tensorflow", "torch"])
def test_backend_that_is_not_installed(script, name, tmp_path):
    # A finder that knows nothing of the framework: as in an environment without it.
    blocked = f"""
    import sys
    class Blocked:
        def find_spec(self, fullname, path=None, target=None):
            if fullname.partition(".")[0] == "{name}":
                raise ModuleNotFoundError("No module named '{name}'", name="{name}")
    sys.meta_path.insert(0, Blocked())
    import keras
    """
    done = run(script(blocked), backend=name)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()[-1:]
    assert "Traceback" not in done.stderr
    assert line.startswith(f"stayfinite: the Keras backend '{name}' is not installed")
    others = [each for each in {"jax", "tensorflow", "torch"} - {name} if find_spec(each)]
    for other in others:
        assert f"{other}, which is installed" in line
    assert others or "to another of jax, tensorflow or torch" in line


@pytest.mark.parametrize("name", ["numpy", "openvino"])
def test_backend_that_cannot_train(script, name):
    done = run(script("import keras"), backend=name)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()[-1:]
    assert line.startswith(f"stayfinite: trainings on the Keras backend '{name}' cannot")


@pytest.mark.parametrize("backend", ["nowhere", "numpy"])
def test_error_of_a_script_without_keras_is_its_own(script, backend):
    done = run(script("raise ValueError('mine')"), backend=backend)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: mine\n")


def test_command_that_imports_keras_itself(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "nowhere"}
    done = launch(*RUN[:-1], "train", "siamese", str(tmp_path), env=environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("stayfinite: Keras has no backend 'nowhere'; set KERAS_BACKEND to")


def test_script_that_goes_on_without_keras_is_left_alone(script):
    done = run(script(GOES_ON), backend="nowhere")
    assert (done.returncode, done.stdout) == (0, "without Keras\n")


def test_options_behind_the_script_are_named_where_the_run_fails(script):
    refuses = script("import argparse\nargparse.ArgumentParser().parse_args()\n")
    done = launch(*RUN, refuses, "--policy", "skip", "--json=run.json", "--lr", "1")
    assert done.returncode == 2
    *_, last = done.stderr.splitlines()
    said = f"stayfinite: --policy and --json went to {refuses}; "
    assert last == said + f"options of stayfinite go before {refuses}"


@pytest.mark.parametrize("code", [0, 1])
def test_they_are_not_named_otherwise(code, script):
    own = script(f"import sys\nprint(sys.argv[1:])\nsys.exit({code})\n")
    done = launch(*RUN, own, "--policy", "actor")
    assert done.returncode == code
    assert "--policy" in done.stdout and "--policy" not in done.stderr
