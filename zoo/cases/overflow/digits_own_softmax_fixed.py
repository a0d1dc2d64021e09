"""The same classifier with the softmax of the library, which subtracts the largest score first."""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)


class Probabilities(layers.Layer):
    """Scores to probabilities."""

    def call(self, scores):
        return ops.softmax(scores, axis=-1)


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
