"""Predicts house prices from a table that was stored as float16 to save disk space.

The area of one estate is 81000 square metres. float16 ends at 65504, so the file holds infinity.
"""
# /// zoo
# cause = "bad-input"
# step = 12
# rows = [7]
# fix = "data"
# stands_for = ["I02"]
# ///

import tempfile
from pathlib import Path

import keras
import numpy as np


def houses(count):
    rng = np.random.default_rng(13)
    rooms = rng.integers(1, 9, count)
    area = rng.uniform(150.0, 2000.0, count)
    area[12 * 8 + 7] = 81000.0
    year = rng.integers(1900, 2020, count)
    price = 40.0 * rooms + 0.08 * np.minimum(area, 5000.0) + 0.5 * (year - 1900)
    return np.stack([rooms, area, year, price], axis=1)


def store(table, folder):
    path = Path(folder) / "houses.npy"
    np.save(path, table.astype("float16"))
    return path


keras.utils.set_random_seed(0)
np.seterr(over="ignore")
with tempfile.TemporaryDirectory() as folder:
    table = np.load(store(houses(240), folder)).astype("float32")

features = table[:, :3] / np.array([8.0, 2000.0, 2000.0], dtype="float32")
prices = table[:, 3:] / 100.0
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(10, activation="elu"), keras.layers.Dense(1)]
)
model.compile(keras.optimizers.Adam(0.01), keras.losses.LogCosh())
history = model.fit(features, prices, batch_size=8, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
