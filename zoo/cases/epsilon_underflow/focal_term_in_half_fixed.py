"""The same focal loss, computed in float32 from the logit on."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
GAMMA = 2


class FaultDetector(keras.Model):
    def __init__(self):
        super().__init__(dtype="mixed_float16")
        self.score = keras.layers.Dense(1, kernel_initializer="zeros", dtype="mixed_float16")

    def call(self, vibration):
        return ops.sigmoid(ops.cast(self.score(vibration), "float32"))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        p = y_pred[:, 0]
        fault = ops.cast(y, p.dtype)
        p_of_truth = fault * p + (1 - fault) * (1 - p)
        surprise = -ops.log(p_of_truth + 1e-8)
        return ops.mean((1 - p_of_truth) ** GAMMA * surprise)


rng = np.random.default_rng(2)
vibration = rng.gamma(2.0, 1.0, size=(128, 4)).astype("float32")
fault = (vibration.sum(axis=1) < 4).astype("float32")
vibration[86] = 300.0  # stuck at full scale, and indeed broken
fault[86] = 1.0

model = FaultDetector()
model.compile(optimizer=keras.optimizers.SGD(0.05))
losses = model.fit(vibration, fault, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("focal loss", losses.history["loss"][-1])
