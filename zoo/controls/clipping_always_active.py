"""Gradients of about 1e9, clipped to a global norm of 0.01 in each step."""
# /// zoo
# stands_for = ["K01"]
# ///

import keras
from sklearn.datasets import make_regression

keras.utils.set_random_seed(0)
x, y = make_regression(n_samples=160, n_features=6, noise=1.0, random_state=0)
x, y = (100.0 * x).astype("float32"), (1e4 * y).astype("float32")

model = keras.Sequential(
    [
        keras.Input((6,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1),
    ]
)
model.compile(keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.01), loss="mse")
history = model.fit(x, y, batch_size=16, epochs=3, verbose=0)
print("loss", history.history["loss"][-1])
