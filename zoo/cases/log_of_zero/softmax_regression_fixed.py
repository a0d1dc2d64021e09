"""The regression of `softmax_regression.py` with the cross entropy of Keras on logits."""

import keras
import numpy as np
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
x, digit = load_digits(return_X_y=True)
x = (x[:800] / 16.0).astype("float32")
x[401] *= 4096.0
y = np.eye(10, dtype="float32")[digit[:800]]

model = keras.Sequential(
    [
        keras.Input((64,)),
        keras.layers.Dense(10, kernel_initializer="zeros"),
    ]
)


cross_entropy = keras.losses.CategoricalCrossentropy(from_logits=True)


model.compile(optimizer=keras.optimizers.SGD(0.01), loss=cross_entropy, metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)
print("loss, accuracy:", model.evaluate(x[:400], y[:400], verbose=0))
