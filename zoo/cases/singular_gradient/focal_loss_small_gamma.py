"""Fraud is detected with a focal loss whose gamma is below 1, to keep the easy cases in play.

One amount was not scaled, and its probability is exactly 1. (1 - p) ** 0.5 has an infinite
derivative there; multiplied by log(1) = 0 it is NaN.
"""

# /// zoo
# cause = "singular-gradient"
# step = 12
# rows = [4]
# fix = "source"
# value = "exact"
# stands_for = ["C07"]
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(12)
features = rng.normal(size=(320, 5))
fraud = (features[:, 0] + 0.5 * features[:, 1] + 0.3 * rng.normal(size=320) > 0).astype("float32")
features[196, 0], fraud[196] = 48000.0, 1.0
features = features.astype("float32")


class FocalLoss(keras.losses.Loss):
    def __init__(self, gamma=2.0):
        super().__init__(name="focal")
        self.gamma = gamma

    def call(self, y_true, y_pred):
        p_right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
        factor = (1.0 - p_right) ** self.gamma  # at fault
        return -factor * ops.log(p_right + 1e-7)


detector = keras.Sequential(
    [
        keras.Input((5,)),
        keras.layers.Dense(1, activation="sigmoid", kernel_initializer="zeros"),
    ]
)
detector.compile(keras.optimizers.SGD(0.1), loss=FocalLoss(gamma=0.5), metrics=["accuracy"])
detector.fit(features, fraud[:, None], batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss, accuracy:", detector.evaluate(features, fraud[:, None], verbose=0))
