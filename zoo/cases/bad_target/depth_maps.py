"""Estimates depth and edges of a scene at once from an image.

The laser gets no echo from glass; such pixels of the depth map are NaN. One of two outputs has
them, the total loss is NaN all the same.
"""
# /// zoo
# cause = "bad-target"
# step = 5
# rows = [0, 3]
# fix = "data"
# stands_for = ["I01", "B10"]
# ///

import keras
import numpy as np


def scenes(count, size=12):
    rng = np.random.default_rng(33)
    depth = np.ones((count, size, size, 1), dtype="float32")
    for plane in depth:
        row = rng.integers(2, size - 3)
        plane[row:] = rng.uniform(0.2, 0.8)
    images = 1.0 / depth + 0.05 * rng.normal(size=depth.shape)
    edges = (abs(np.diff(depth, axis=1, append=depth[:, -1:])) > 0.1).astype("float32")
    depth[20, 3:6, 3:6] = np.nan
    depth[23, 8, 1] = np.nan
    return images.astype("float32"), {"depth": depth, "edges": edges}


keras.utils.set_random_seed(0)
images, maps = scenes(40)
inputs = keras.Input((12, 12, 1), name="image")
shared = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
depth = keras.layers.Conv2D(1, 3, padding="same", activation="softplus", name="depth")(shared)
edges = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="edges")(shared)
model = keras.Model(inputs, {"depth": depth, "edges": edges})
model.compile(
    optimizer="adam",
    loss={"depth": "mae", "edges": "binary_crossentropy"},
    loss_weights={"depth": 1.0, "edges": 0.3},
)
history = model.fit(images, maps, batch_size=4, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
