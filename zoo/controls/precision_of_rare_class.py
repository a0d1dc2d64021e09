"""Reports the precision of a rare class beside the loss.

In a batch in which nothing is predicted as that class it is 0 / 0. It is a number to look at; the
loss does not know it.
"""
# /// zoo
# stands_for = ["L11"]
# ///

import keras
import numpy as np
from keras import ops


def rare_precision(y_true, y_pred):
    """Return the share of right answers among those that say class 2."""
    said = ops.cast(ops.equal(ops.argmax(y_pred, axis=-1), 2), "float32")
    true = ops.cast(ops.equal(ops.reshape(y_true, (-1,)), 2), "float32")
    return ops.sum(said * true) / ops.sum(said)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(2)
labels = rng.choice(3, size=120, p=[0.6, 0.38, 0.02])
x = rng.normal(size=(120, 6)) + labels[:, None]

model = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ]
)
# The rare class is as unlikely at first as it is in the data.
model.layers[-1].bias.assign([0.0, 0.0, -9.0])
model.compile("adam", "sparse_categorical_crossentropy", metrics=[rare_precision])
history = model.fit(x, labels, batch_size=15, epochs=2, verbose=0)
print("precision", history.history["rare_precision"][-1], "loss", history.history["loss"][-1])
