"""The logarithm of a rate that can be 0, guarded by two `where`: before the log and after it.

The branch that is thrown away is log(1), so neither its value nor its gradient can leak.
"""
# /// zoo
# stands_for = ["B01", "B07"]
# ///

import keras
import numpy as np
from keras import ops as K


def safe_log(x):
    positive = K.greater(x, 0.0)
    inside = K.where(positive, x, K.ones_like(x))
    return K.where(positive, K.log(inside), K.zeros_like(x))


class LogRate(keras.layers.Layer):
    def call(self, x):
        return safe_log(K.relu(x))


keras.utils.set_random_seed(0)
rng = np.random.default_rng(5)
x = rng.normal(size=(90, 5)).astype("float32")
y = np.log(np.maximum(x.sum(axis=1), 0.2))

model = keras.Sequential(
    [
        keras.Input((5,)),
        keras.layers.Dense(12, name="rates"),
        LogRate(name="log_rate"),
        keras.layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "mse")
history = model.fit(x, y, batch_size=15, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
