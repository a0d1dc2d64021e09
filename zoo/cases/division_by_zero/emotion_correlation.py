"""Arousal along a video is predicted; the loss is one minus the correlation with the annotation.

An annotator left the slider where it was. The annotation of that clip is constant, its deviation
is 0, and the correlation is 0 / 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = 7
# rows = [5]
# fix = "source"
# value = "undefined"
# stands_for = ["A09"]
# ///
import keras
import numpy as np
from keras import layers, ops

FRAMES = 16
keras.utils.set_random_seed(0)
rng = np.random.default_rng(64)
faces = np.cumsum(rng.normal(size=(96, FRAMES, 4)), axis=1) / 4
arousal = np.tanh(faces[..., 0] - 0.5 * faces[..., 1])
arousal[61] = 0.25
faces, arousal = faces.astype("float32"), arousal.astype("float32")


class Clips(keras.utils.PyDataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        part = slice(8 * index, 8 * index + 8)
        return faces[part], arousal[part]


def correlation_loss(y_true, y_pred):
    y_pred = ops.reshape(y_pred, (-1, FRAMES))
    t = y_true - ops.mean(y_true, axis=1, keepdims=True)
    p = y_pred - ops.mean(y_pred, axis=1, keepdims=True)
    covariance = ops.sum(t * p, axis=1)
    spread = ops.sqrt(ops.sum(t**2, axis=1)) * ops.sqrt(ops.sum(p**2, axis=1) + 1e-9)
    return 1.0 - covariance / spread  # at fault


inputs = keras.Input((FRAMES, 4))
h = layers.SimpleRNN(10, return_sequences=True)(inputs)
model = keras.Model(inputs, layers.Dense(1)(h))
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=correlation_loss)
model.fit(Clips(), epochs=2, shuffle=False, verbose=0)
print("1 - correlation:", model.evaluate(Clips(), verbose=0))
