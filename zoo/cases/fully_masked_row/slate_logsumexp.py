"""Click model over slates of at most eight items: softmax regression with missing slots."""

# /// zoo
# cause = "fully-masked-row"
# step = 4
# rows = [1, 28]
# fix = "source"
# value = "bounded"
# ///

import keras
import numpy as np

keras.utils.set_random_seed(19)
rng = np.random.default_rng(19)
SESSIONS, SLOTS, BATCH = 420, 8, 30
items = rng.normal(size=(SESSIONS, SLOTS, 5)).astype("float32")
shown = rng.integers(2, SLOTS + 1, SESSIONS)
shown[4 * BATCH + 1] = 0  # the page timed out
shown[4 * BATCH + 28] = 0
present = np.arange(SLOTS)[None] < shown[:, None]
clicked = np.where(present, items[..., 0], -9.0).argmax(1)
y = np.concatenate([np.eye(SLOTS)[clicked], present], axis=1).astype("float32")


def slate_loss(y_true, utility):
    click = y_true[:, :SLOTS]
    visible = y_true[:, SLOTS:] > 0
    masked = keras.ops.where(visible, utility, -np.inf)
    partition = keras.ops.logsumexp(masked, axis=1)  # at fault
    chosen = keras.ops.sum(click * utility, axis=1)
    return partition - chosen


inputs = keras.Input((SLOTS, 5))
u = keras.layers.Dense(16, activation="relu")(inputs)
u = keras.layers.Dense(1)(u)
u = keras.layers.Reshape((SLOTS,))(u)
choice = keras.Model(inputs, u)
choice.compile(optimizer=keras.optimizers.SGD(0.05), loss=slate_loss)
choice.fit(items, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
