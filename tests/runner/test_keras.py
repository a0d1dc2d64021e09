"""The real guard in real trainings: slow, so few, and each asks for much."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keras

from tests import warm
from tests.runner.conftest import LAUNCHES, assert_alike, launch

ENVIRONMENT = {
    **os.environ,
    # It does not exist: the choice of the script has to count.
    "KERAS_BACKEND": "nowhere",
    "JAX_PLATFORMS": "cpu",
}

HEAD = f"""
import os
os.environ["KERAS_BACKEND"] = "{keras.backend.backend()}"
import keras
import numpy as np

keras.utils.set_random_seed(0)
x, y = np.ones((32, 3), "float32"), np.ones((32, 2), "float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])
"""

FINITE = """
model.compile("adam", loss="mse", metrics=["mae"])
history = model.fit(x, y, batch_size=8, epochs=2, verbose=0)
print(history.history, model.train_on_batch(x, y), np.random.rand())
print([weight.tobytes().hex() for weight in model.get_weights()])
model.save("model.keras")
print(keras.saving.load_model("model.keras").predict(x, verbose=0).tobytes().hex())
"""

ERRORS = """
import traceback

def loss(y_true, y_pred):
    raise ValueError("mine")

model.compile("sgd", loss=loss)
try:
    model.fit(x, y, verbose=0)
except ValueError:
    traceback.print_exc()

class Mine(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise OSError("mine")

model.compile("sgd", loss="mse")
model.fit(x, y, batch_size=8, verbose=0, callbacks=[Mine()])
"""

BAD = """
def loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.log(y_true) + y_pred)

y[20] = 0
model.compile("sgd", loss=loss)
model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
print("not reached")
"""


def test_training_is_that_of_plain_python(script):
    """Weights and predictions to the bit, random numbers, tracebacks, exit code."""
    done = assert_alike(script(HEAD + FINITE + ERRORS), env=ENVIRONMENT)
    raised = [line for line in done.stderr.splitlines() if line.endswith(": mine")]
    assert (done.returncode, raised) == (1, ["ValueError: mine", "OSError: mine"])


def test_bad_step(script, tmp_path):
    x = script(HEAD + BAD)
    done = warm.stayfinite(tmp_path, "run", "--json", "run.json", x)
    assert done.returncode == 3
    report = done.stderr[done.stderr.index("error[log-of-zero]: ") :]
    assert "Traceback" not in done.stderr
    assert "not reached" not in done.stderr
    file = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert file["exit_code"] == 3
    (incident,) = file["incidents"]
    assert incident["script"] == "x.py"
    assert incident["where"]["step"] == 2
    # The folder that the report names opens again, from any working directory.
    kept = str(Path(tmp_path, incident["kept"]["incident"]))
    again = launch(*LAUNCHES["command"][:-1], "explain", kept, cwd="/")
    assert again.returncode == 0
    assert again.stdout.splitlines()[0] == report.splitlines()[0]
