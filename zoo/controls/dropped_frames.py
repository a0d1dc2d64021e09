"""Frames that failed to decode are NaN; the script leaves them out of the batch before it
trains.
"""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(212)
rng = np.random.default_rng(212)
frames = rng.uniform(0, 1, (160, 6, 6, 1)).astype("float32")
bright = frames.mean(axis=(1, 2, 3), keepdims=False)[:, None]
frames[[9, 40, 41, 77]] = np.nan
frames[130, 2, 2] = np.inf

model = keras.Sequential(
    [
        keras.Input((6, 6, 1)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(1),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
for epoch in range(3):
    losses = []
    for start in range(0, len(frames), 16):
        batch, target = frames[start : start + 16], bright[start : start + 16]
        whole = np.isfinite(batch).all(axis=(1, 2, 3))
        whole &= np.cumsum(whole) <= 14  # keeps the shape of all batches
        losses.append(model.train_on_batch(batch[whole], target[whole]))
    print(epoch, float(np.mean(losses)))
