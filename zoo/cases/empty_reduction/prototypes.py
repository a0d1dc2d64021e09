"""Few-shot classifier: distances to the class means of the batch."""

# /// zoo
# cause = "empty-reduction"
# step = 11
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(14)
rng = np.random.default_rng(14)
CLASSES, BATCH = 4, 16
y = np.tile(np.arange(CLASSES), 80)
y[11 * BATCH : 12 * BATCH][y[11 * BATCH : 12 * BATCH] == 2] = 0
centres = rng.normal(scale=2.0, size=(CLASSES, 6))
x = (centres[y] + rng.normal(size=(len(y), 6))).astype("float32")
onehot = np.eye(CLASSES, dtype="float32")[y]


class ProtoNet(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(24, activation="relu")
        self.embed = layers.Dense(8)

    def call(self, x):
        return self.embed(self.hidden(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        members = ops.sum(y, axis=0)
        sums = ops.matmul(ops.transpose(y), y_pred)
        proto = sums / members[:, None]  # at fault
        gap = y_pred[:, None, :] - proto[None, :, :]
        logits = -ops.sum(gap * gap, axis=-1)
        return ops.mean(ops.categorical_crossentropy(y, logits, from_logits=True))


net = ProtoNet()
net.compile(optimizer=keras.optimizers.Adam(1e-3))
net.fit(x, onehot, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
