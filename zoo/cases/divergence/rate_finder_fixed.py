"""A sweep that doubles the learning rate after each batch, to see where training breaks, and that
has no end.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(91)
rng = np.random.default_rng(91)
ROWS, BATCH = 960, 16
x = rng.normal(size=(ROWS, 6)).astype("float32")
y = (x @ rng.normal(size=6) + rng.normal(0, 0.1, ROWS)).astype("float32")


class LearningRateSweep(keras.callbacks.Callback):
    def __init__(self, start=1e-4, factor=1.1, stop=0.1):
        super().__init__()
        self.start, self.factor, self.stop = start, factor, stop
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        rate = min(self.start * self.factor**batch, self.stop)
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(logs["loss"])


def squared(y_true, y_pred):
    return ops.square(y_true - y_pred)


model = keras.Sequential([keras.Input((6,)), layers.Dense(1, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss=squared)
sweep = LearningRateSweep()
model.fit(x, y[:, None], batch_size=BATCH, epochs=1, shuffle=False, callbacks=[sweep], verbose=0)
print("best rate", sweep.start * sweep.factor ** int(np.argmin(sweep.seen)))
