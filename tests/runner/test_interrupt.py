"""Ctrl-C while a step is explained: the report of what is known, and the exit code of a stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import warm

SCRIPT = """
import os, signal, sys
import keras
import numpy as np
from keras import ops

# Where the tests run in the background of a shell, the signal would be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
when = sys.argv[1]
runs = 0


class Layer(keras.layers.Dense):
    def save_own_variables(self, store):
        if when == "saving":
            os.kill(os.getpid(), signal.SIGINT)
        super().save_own_variables(store)


def loss(y_true, y_pred):
    global runs
    if runs or ops.any(y_true > 1.5):
        runs += 1
        if str(runs) == when:
            os.kill(os.getpid(), signal.SIGINT)
    difference = ops.where(y_true > 1.5, y_pred * 0, y_pred - y_true)
    return ops.mean(ops.sqrt(ops.sum(ops.square(difference), axis=-1)))


keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), Layer(3)])
model.compile("adam", loss=loss, run_eagerly=True)
x, y = np.random.default_rng(0).normal(size=(32, 4)), np.ones((32, 3))
y[20] = 2.0
try:
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
finally:
    print("finite", all(np.isfinite(w).all() for w in model.get_weights()))
    print("steps", int(model.optimizer.iterations))
"""


def run(folder, *arguments):
    (folder / "x.py").write_text(SCRIPT, encoding="utf-8")
    done = warm.stayfinite(
        folder, "run", "--json", "run.json", *arguments[:-1], "x.py", arguments[-1]
    )
    assert "Traceback" not in done.stderr
    assert "finite True\nsteps 2\n" in done.stderr
    return done, json.loads((folder / "run.json").read_text(encoding="utf-8"))


def test_the_facts_that_are_known_are_kept(tmp_path):
    done, file = run(tmp_path, "15")
    assert done.returncode == file["exit_code"] == 3
    assert "stayfinite: explanation interrupted: it was trying fixes of the source" in done.stderr
    assert "error[singular-gradient]" in done.stderr
    (incident,) = file["incidents"]
    assert incident["notes"][0].startswith("explanation interrupted: ")
    kept = Path(incident["kept"]["incident"], "incident.json")
    assert json.loads(kept.read_text(encoding="utf-8")) == incident


@pytest.mark.slow
def test_no_policy_lets_an_interrupted_training_go_on(tmp_path):
    done, file = run(tmp_path, "--policy", "repair", "12")
    assert done.returncode == file["exit_code"] == 3
    assert "its explanation was interrupted" in done.stderr


def test_a_second_time_ends_the_program(tmp_path):
    done, file = run(tmp_path, "saving")
    assert done.returncode == file["exit_code"] == 130
    assert file["incidents"] == []
