"""Adaptation to a new hospital: the BatchNormalization statistics are moved beyond those of the
target domain, target + (target - source). In one channel that variance is negative.
"""

# /// zoo
# cause = "bad-statistics"
# step = 20
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(132)
rng = np.random.default_rng(132)
PATIENTS, BATCH, STRENGTH = 200, 10, 1.0

source = rng.normal(0, [1.0, 2.0, 1.5], (PATIENTS, 3)).astype("float32")
target = rng.normal(0.2, [0.9, 0.7, 1.8], (PATIENTS, 3)).astype("float32")
outcome = (source[:, :1] + 0.5 * source[:, 1:2] > 0).astype("float32")


class AdaptStatistics(keras.callbacks.Callback):
    """Moves the statistics at the start of an epoch, and keeps them from then on."""

    def __init__(self, layer, at_epoch):
        super().__init__()
        self.layer, self.at_epoch = layer, at_epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self.at_epoch:
            return
        assert self.model.built
        gamma, beta, *_ = self.layer.get_weights()
        new_mean = target.mean(axis=0) + STRENGTH * (target.mean(axis=0) - source.mean(axis=0))
        new_variance = target.var(axis=0) + STRENGTH * (target.var(axis=0) - source.var(axis=0))
        self.layer.set_weights([gamma, beta, new_mean, new_variance])


class FixedBatchNorm(layers.BatchNormalization):
    """Always normalises with the stored statistics."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=False, mask=mask)  # at fault


norm = FixedBatchNorm()
model = keras.Sequential([keras.Input((3,)), norm, layers.Dense(6, "relu"), layers.Dense(1)])
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
model.fit(
    source,
    outcome,
    batch_size=BATCH,
    epochs=3,
    shuffle=False,
    verbose=2,
    callbacks=[AdaptStatistics(norm, at_epoch=1)],
)
