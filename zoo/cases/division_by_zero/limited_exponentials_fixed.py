"""The network of `limited_exponentials.py` with the softmax of Keras."""

import keras
import numpy as np
from keras import ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
data, digit = load_digits(return_X_y=True)
data = (data[:300] / 16).astype("float32")
data[138] *= 500.0
one_hot = np.eye(10, dtype="float32")[digit[:300]]

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(20, activation="relu"),
        # Starts with small probabilities for everything.
        keras.layers.Dense(10, kernel_initializer=keras.initializers.RandomUniform(-0.3, 0.0, 5)),
    ]
)


def probabilities(logits):
    return ops.softmax(logits, axis=1)


def loss(y_true, logits):
    p = probabilities(logits)
    return -ops.sum(y_true * ops.log(p + 1e-10), axis=1)


model.compile(optimizer=keras.optimizers.SGD(0.01), loss=loss)
model.fit(data, one_hot, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(data[:132], one_hot[:132], verbose=0))
