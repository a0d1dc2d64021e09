"""Goes on training a network whose weights a colleague exported as float16 to make the file small.

The last bias is an income in currency units, 71000. float16 ends at 65504, so the file holds inf.
"""
# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "data"
# stands_for = ["L07"]
# ///

import tempfile
from pathlib import Path

import keras
import numpy as np


def build():
    return keras.Sequential(
        [
            keras.Input((6,), name="household"),
            keras.layers.Dense(16, activation="relu", name="features"),
            keras.layers.Dense(1, name="income"),
        ]
    )


def export(model, path):
    """Write all weights as float16."""
    np.savez(path, *[weight.astype("float16") for weight in model.get_weights()])


def load(model, path):
    with np.load(path) as file:
        model.set_weights([file[name].astype("float32") for name in file.files])


keras.utils.set_random_seed(0)
np.seterr(over="ignore")
rng = np.random.default_rng(0)
households = rng.normal(size=(128, 6)).astype("float32")
income = (71_000.0 + 9_000.0 * households[:, :1]).astype("float32")

earlier = build()
kernel, _ = earlier.layers[-1].get_weights()
earlier.layers[-1].set_weights([1000.0 * kernel, np.array([71_000.0])])

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "income.npz"
    export(earlier, path)
    model = build()
    load(model, path)
model.compile(keras.optimizers.Adam(1.0), loss="mae")
history = model.fit(households, income, batch_size=16, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
