"""Labels events in a log with attention to the nearest events only, batches padded at the end.

An event may look at its two neighbours on each side, and not at padding. Deep inside the padding
all of the window is padding, and the row is all -inf. Those rows are multiplied by 0 in the loss,
and 0 * NaN is NaN.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 11
# rows = [5]
# fix = "source"
# value = "undefined"
# stands_for = ["F07", "F01"]
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
LENGTH, WIDTH, WINDOW = 10, 8, 2


class WindowAttention(keras.layers.Layer):
    def build(self, shape):
        self.mix = self.add_weight(shape=(WIDTH, WIDTH), initializer="identity", name="mix")
        places = np.arange(LENGTH)
        self.near = np.abs(places[:, None] - places) <= WINDOW

    def call(self, events):
        present = ops.any(ops.not_equal(events, 0.0), axis=-1)
        may_look = ops.logical_and(self.near, present[:, None, :])
        scores = ops.einsum("bqw,wv,bkv->bqk", events, self.mix, events)
        masked = ops.where(may_look, scores, -np.inf)
        looked_at = ops.nn.softmax(masked)  # at fault
        return ops.matmul(looked_at, events)


def error_of_events(truth, prediction):
    is_event = ops.cast(truth >= 0, "float32")
    errors = ops.square(prediction - truth) * is_event
    return ops.sum(errors, axis=(1, 2)) / ops.sum(is_event, axis=(1, 2))


rng = np.random.default_rng(4)
events = rng.normal(size=(96, LENGTH, WIDTH))
length = rng.integers(LENGTH - WINDOW, LENGTH + 1, size=96)
length[93] = 4
padded = np.arange(LENGTH) >= length[:, None]
events[padded] = 0.0
truth = np.where(padded, -1.0, np.abs(events[..., 0]))[..., None]

model = keras.Sequential(
    [keras.Input((LENGTH, WIDTH)), WindowAttention(), keras.layers.Dense(1, activation="relu")]
)
model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss=error_of_events)
history = model.fit(
    events.astype("float32"), truth.astype("float32"), batch_size=8, shuffle=False, verbose=0
)
print("error", history.history["loss"])
