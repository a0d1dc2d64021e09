"""A network normalises exponentials itself; the logits are limited to 87 so that exp stays finite.

The limit is from above only. Where all logits of a row are below -104 every exponential is 0, and
so is their sum: 0 / 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = 11
# rows = [6]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 11a", "GRIST 16c", "GRIST 17", "D11"]
# ///
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
    powers = ops.exp(ops.minimum(logits, 87.0))
    return powers / ops.sum(powers, axis=1, keepdims=True)  # at fault


def loss(y_true, logits):
    p = probabilities(logits)
    return -ops.sum(y_true * ops.log(p + 1e-10), axis=1)


model.compile(optimizer=keras.optimizers.SGD(0.01), loss=loss)
model.fit(data, one_hot, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(data[:132], one_hot[:132], verbose=0))
