"""Digits are classified by softmax regression, with the cross entropy written as in the tutorials.

One image was stored with another scale. The softmax of an unlikely class underflows to exactly 0,
its logarithm is -inf, and the 0 of the one-hot label makes NaN of it.
"""

# /// zoo
# cause = "log-of-zero"
# step = 12
# rows = [17]
# fix = "source"
# value = "exact"
# stands_for = [
#   "GRIST 1", "GRIST 3", "GRIST 6", "GRIST 7", "GRIST 8", "GRIST 10", "GRIST 12",
#   "GRIST 14", "GRIST 15", "GRIST 18", "GRIST 19", "GRIST 20", "GRIST 21", "GRIST 23",
#   "GRIST 24", "GRIST 25", "GRIST 27", "GRIST 29", "GRIST 30", "GRIST 32", "GRIST 34",
#   "GRIST 40", "GRIST 41", "GRIST 42", "GRIST 44", "GRIST 45a", "GRIST 45b", "GRIST 46",
#   "GRIST 47", "GRIST 48a", "GRIST 48b", "GRIST 50", "GRIST 52", "GRIST 54", "GRIST 55",
#   "GRIST 57", "GRIST 58", "GRIST 59", "GRIST 60", "GRIST 61",
# ]
# ///
import keras
import numpy as np
from keras import ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
x, digit = load_digits(return_X_y=True)
x = (x[:800] / 16.0).astype("float32")
x[401] *= 4096.0
y = np.eye(10, dtype="float32")[digit[:800]]

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(10, activation="softmax", kernel_initializer="zeros"),
    ]
)


def cross_entropy(y_true, y_pred):
    return -ops.sum(y_true * ops.log(y_pred), axis=1)  # at fault


model.compile(optimizer=keras.optimizers.SGD(0.01), loss=cross_entropy, metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
print("loss, accuracy:", model.evaluate(x[:400], y[:400], verbose=0))
