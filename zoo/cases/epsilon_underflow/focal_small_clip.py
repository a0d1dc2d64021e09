"""Focal loss for rare defects with probabilities clipped to [1e-8, 1 - 1e-8]. In float32 the upper
bound is 1, so a confident false alarm still takes the log of 0.
"""

# /// zoo
# cause = "epsilon-underflow"
# step = 10
# rows = [14]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(80)
rng = np.random.default_rng(80)
PARTS, BATCH = 320, 16
EPS = 1e-8

scores = rng.normal(0, 1, (PARTS, 3)).astype("float32")
defect = (scores.sum(axis=1) + rng.normal(0, 1, PARTS) > 2).astype("float32")
scores[10 * BATCH + 14] = (14.0, 11.0, 9.0)
defect[10 * BATCH + 14] = 0.0


class BinaryFocal(keras.losses.Loss):
    def __init__(self, gamma=2.0, alpha=0.25, name="binary_focal"):
        super().__init__(name=name)
        self.gamma = gamma
        self.alpha = alpha

    def call(self, y_true, p):
        p = ops.clip(p, EPS, 1 - EPS)
        hit = -self.alpha * y_true * (1 - p) ** self.gamma * ops.log(p)
        alarm = -(1 - self.alpha) * (1 - y_true) * p**self.gamma * ops.log(1 - p)  # at fault
        return ops.sum(hit + alarm, axis=-1)


model = keras.Sequential([keras.Input((3,)), layers.Dense(1, "sigmoid", kernel_initializer="ones")])
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=BinaryFocal())
model.fit(scores, defect[:, None], batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
