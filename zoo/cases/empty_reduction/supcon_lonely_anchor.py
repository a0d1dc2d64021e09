"""Supervised contrastive loss, the mean over the positives of each anchor. An anchor that is alone
with its class in the batch has none."""

# /// zoo
# cause = "empty-reduction"
# step = 9
# rows = [6]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(37)
rng = np.random.default_rng(37)
TEMPERATURE = 0.2

label = np.tile([0, 1, 2, 0, 1, 2, 0, 1], 20)
label[9 * 8 + 6] = 3
x = (rng.normal(size=(160, 10)) + 0.8 * label[:, None]).astype("float32")


class SupCon(keras.losses.Loss):
    def call(self, y_true, z):
        y = ops.reshape(y_true, (-1, 1))
        n = z.shape[0]
        others = 1.0 - ops.eye(n)
        logits = ops.matmul(z, ops.transpose(z)) / TEMPERATURE
        logits = logits - ops.stop_gradient(ops.max(logits, axis=1, keepdims=True))
        log_prob = logits - ops.log(ops.sum(ops.exp(logits) * others, axis=1, keepdims=True))
        positive = ops.cast(ops.equal(y, ops.transpose(y)), "float32") * others
        return -ops.sum(positive * log_prob, axis=1) / ops.sum(positive, axis=1)  # at fault


model = keras.Sequential(
    [
        keras.Input((10,), batch_size=8),
        layers.Dense(16, activation="relu"),
        layers.Dense(8),
        layers.UnitNormalization(),
    ]
)
model.compile(optimizer="adam", loss=SupCon())
model.fit(x, label.astype("float32"), batch_size=8, epochs=2, shuffle=False, verbose=0)
