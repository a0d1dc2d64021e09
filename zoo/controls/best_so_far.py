"""Keeps the best weights; before the first epoch the best loss is infinity."""
# /// zoo
# stands_for = ["L06"]
# ///

import keras
import numpy as np


class KeepBest(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.best, self.weights = np.inf, None

    def on_epoch_begin(self, epoch, logs=None):
        print(f"epoch {epoch}: best so far {self.best}")

    def on_epoch_end(self, epoch, logs=None):
        logs["best"] = min(self.best, logs["val_loss"])
        logs["ratio"] = logs["val_loss"] / self.best
        if logs["val_loss"] < self.best:
            self.best, self.weights = logs["val_loss"], self.model.get_weights()


keras.utils.set_random_seed(0)
rng = np.random.default_rng(21)
x = rng.uniform(-2.0, 2.0, (150, 1)).astype("float32")
y = np.cos(2.0 * x)

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(20, "tanh"), keras.layers.Dense(1)])
model.compile("adam", "mse")
keep = KeepBest()
stop = keras.callbacks.EarlyStopping(patience=3, baseline=np.inf)
model.fit(x, y, validation_split=0.2, epochs=4, verbose=0, callbacks=[keep, stop])
print("best", float(keep.best), len(keep.weights))
