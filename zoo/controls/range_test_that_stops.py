"""A learning-rate range test that ends as soon as the loss is a thousand times the best one."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(208)
rng = np.random.default_rng(208)
x = rng.normal(size=(800, 5)).astype("float32")
y = (x @ rng.normal(size=5)).astype("float32")[:, None]


class RangeTest(keras.callbacks.Callback):
    def __init__(self, factor=1.8):
        super().__init__()
        self.factor, self.best = factor, float("inf")

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        self.best = min(self.best, loss)
        if loss > 1000 * self.best:
            self.model.stop_training = True
            return
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.model.optimizer.learning_rate = rate * self.factor


model = keras.Sequential([keras.Input((5,)), layers.Dense(1, kernel_initializer="zeros")])
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mse")
for start in range(3):
    model.fit(
        x[start * 240 : start * 240 + 16 * 14],
        y[start * 240 : start * 240 + 16 * 14],
        batch_size=16,
        epochs=1,
        shuffle=False,
        verbose=0,
        callbacks=[RangeTest()],
    )
    weights = model.get_weights()
    model.set_weights([np.zeros_like(weight) for weight in weights])
    model.optimizer.learning_rate = 1e-3
