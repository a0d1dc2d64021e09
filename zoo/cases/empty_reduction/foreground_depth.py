"""Depth maps where only lidar returns count; a loss with torch indexing."""

# /// zoo
# cause = "empty-reduction"
# step = 9
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# ///

import keras
import numpy as np
import torch
from keras import layers

keras.utils.set_random_seed(23)
rng = np.random.default_rng(23)
B = 8
image = rng.random((128, 12, 12, 1)).astype("float32")
depth = 1.0 + 4.0 * image
hit = rng.random(depth.shape) < 0.1
hit[9 * B : 10 * B] = False  # fog: the scanner saw nothing
depth = np.where(hit, depth, 0.0).astype("float32")


def on_returns(y_true, y_pred):
    seen = y_true > 0
    error = torch.abs(y_pred - y_true)
    return error[seen].mean()  # at fault


model = keras.Sequential(
    [
        keras.Input((12, 12, 1)),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.Conv2D(1, 3, padding="same"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=on_returns)
model.fit(image, depth, batch_size=B, epochs=1, shuffle=False, verbose=0)
