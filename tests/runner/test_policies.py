"""`stayfinite run --policy`: the script goes on, and the run file and the terminal say how."""

from __future__ import annotations

import html
import json

from tests import warm

SCRIPT = """
import keras
import numpy as np
from keras import ops


def loss(y_true, y_pred):
    difference = ops.where(y_true > 1.5, y_pred * 0, y_pred - y_true)
    return ops.mean(ops.sqrt(ops.sum(ops.square(difference), axis=-1)))


keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
model.compile("adam", loss=loss)
x, y = np.random.default_rng(0).normal(size=(32, 4)), np.ones((32, 3))
y[20] = 2.0
history = model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
print("finite", np.isfinite(history.history["loss"]).all(), len(history.interventions))
"""


def run(folder, *options):
    (folder / "train.py").write_text(SCRIPT)
    done = warm.stayfinite(folder, "run", "--json", "run.json", *options, "train.py")
    return done, json.loads((folder / "run.json").read_text())


def test_repair(tmp_path):
    done, file = run(tmp_path, "--policy", "repair")
    assert done.returncode == 0, done.stderr
    assert "finite True 1" in done.stderr
    (incident,), (made,) = file["incidents"], file["interventions"]
    assert incident["intervention"] == made
    assert (made["policy"], made["step"], made["cause"]) == ("repair", 2, "singular-gradient")
    assert (file["exit_code"], file["num_steps"], made["diff"]) == (0, 4, incident["fix"]["diff"])
    # At once and at the end.
    assert done.stderr.count(made["diff"]) == 2
    assert done.stderr.count("looking for its cause") == 1
    kept = json.loads((tmp_path / "stayfinite-out/incident-000002/incident.json").read_text())
    assert kept["intervention"] == made
    page = (tmp_path / "stayfinite-out/incident-000002/incident.html").read_text(encoding="utf-8")
    assert made["action"] in html.unescape(page)
    assert (tmp_path / "train.py").read_text() == SCRIPT


def test_limit_in_a_row(tmp_path):
    done, file = run(tmp_path, "--policy", "skip", "--max-bad-steps", "1")
    assert (done.returncode, file["exit_code"], file["interventions"]) == (3, 3, [])
    assert [incident["where"]["step"] for incident in file["incidents"]] == [2]
