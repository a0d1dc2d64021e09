"""Fine-tuning from a checkpoint that was saved in float16. The kernel for an input in micrometres
is larger than 65504 and was saved as inf."""

# /// zoo
# cause = "bad-weights"
# step = 20
# fix = "data"
# ///
import io

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(79)
rng = np.random.default_rng(79)

size = rng.uniform(1e-6, 2e-5, (160, 2)).astype("float32")  # in metres
mass = (size.sum(axis=1, keepdims=True) * 5e4).astype("float32")


def save(weights):
    buffer = io.BytesIO()
    with np.errstate(over="ignore"):
        np.savez(buffer, *[w.astype("float16") for w in weights])
    buffer.seek(0)
    return buffer


published = save([np.array([[9e4, 2e4, -7e4], [4e4, 8e4, 1e4]]), np.zeros(3)])

model = keras.Sequential(
    [keras.Input((2,)), layers.Dense(3, activation="relu", name="scale"), layers.Dense(1)]
)
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
model.fit(size, mass, batch_size=8, epochs=1, shuffle=False, verbose=0)  # without pre-training

model.get_layer("scale").set_weights(list(np.load(published).values()))
model.fit(size, mass, batch_size=8, epochs=1, shuffle=False, verbose=0)
