"""Self-supervised frames with a variance term."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(21)
rng = np.random.default_rng(21)

frames = rng.random((160, 8, 8, 1)).astype("float32")
frames[112:120] = 0.0


def spread_penalty(z):
    variance = ops.var(z, axis=0)
    varies = variance > 0
    deviation = ops.where(varies, ops.sqrt(ops.where(varies, variance, 1.0)), 0.0)
    return ops.mean(ops.relu(1.0 - deviation))


def covariance_penalty(z):
    z = z - ops.mean(z, axis=0)
    cov = ops.matmul(ops.transpose(z), z) / (z.shape[0] - 1)
    return ops.sum(ops.square(cov - cov * ops.eye(z.shape[1]))) / z.shape[1]


class VICReg(keras.Model):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def call(self, x):
        return self.encoder(x), self.encoder(ops.flip(x, axis=2))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        za, zb = y_pred
        invariance = ops.mean(ops.square(za - zb))
        variance = spread_penalty(za) + spread_penalty(zb)
        covariance = covariance_penalty(za) + covariance_penalty(zb)
        return 25.0 * invariance + 25.0 * variance + covariance


encoder = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(4, 3, strides=2, activation="relu", use_bias=False),
        layers.Flatten(),
        layers.Dense(6, use_bias=False),
    ]
)
model = VICReg(encoder)
model.compile(optimizer=keras.optimizers.Adam(1e-3))
model.fit(frames, frames, batch_size=8, epochs=1, shuffle=False, verbose=0)
