"""Reads handwritten digits with a linear classifier whose output layer normalises by hand.

The pixels run from 0 to 16 and the scores stay near 10. One scan came as 8 bit, 0 to 255; its
scores pass 88.7, where `exp` is infinite in float32, and the probabilities are inf / inf.
"""
# /// zoo
# cause = "overflow"
# step = 25
# rows = [16]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 11b", "GRIST 16a", "D11"]
# ///

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)


class Probabilities(layers.Layer):
    """Scores to probabilities."""

    def call(self, scores):
        unnormalised = ops.exp(scores)  # at fault
        return unnormalised / ops.sum(unnormalised, axis=-1, keepdims=True)


images, labels = load_digits(return_X_y=True)
images[1616] *= 255 / 16

model = keras.Sequential(
    [
        keras.Input((64,)),
        layers.Dense(10, kernel_initializer="zeros"),
        Probabilities(),
    ]
)
model.compile(
    optimizer=keras.optimizers.SGD(learning_rate=0.02),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
history = model.fit(
    images.astype("float32"), labels, batch_size=64, epochs=2, shuffle=False, verbose=0
)
print("loss", history.history["loss"][-1], "accuracy", history.history["accuracy"][-1])
