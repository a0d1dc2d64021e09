"""Starts a network from a linear model that was fitted with a rate at which it converges."""

import io

import keras
import numpy as np


def descend(x, y, steps=4000, rate=5e-5):
    """Fit a line as the older script does; return the file it writes."""
    weights = np.zeros(x.shape[1], dtype="float32")
    for _ in range(steps):
        error = x @ weights - y
        weights -= rate * (x.T @ error) / len(x)
    file = io.BytesIO()
    np.savez(file, kernel=weights[:, None], bias=np.zeros(1, dtype="float32"))
    file.seek(0)
    return file


keras.utils.set_random_seed(0)
np.seterr(all="ignore")
rng = np.random.default_rng(10)
rooms = rng.integers(1, 8, 120)
area = rooms * 25.0 + rng.normal(size=120)
x = np.stack([rooms, area], axis=1).astype("float32")
rent = (0.2 * rooms + 0.01 * area).astype("float32")

file = np.load(descend(x, rent))
inputs = keras.Input((2,), name="flat")
linear = keras.layers.Dense(1, name="linear")
bent = keras.layers.Dense(1, name="bent")(keras.layers.Dense(8, "relu")(inputs))
model = keras.Model(inputs, keras.layers.Add()([linear(inputs), bent]))
linear.set_weights([file["kernel"], file["bias"]])
model.compile(keras.optimizers.Adam(1e-3), loss="mse")
history = model.fit(x, rent, batch_size=20, epochs=4, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
