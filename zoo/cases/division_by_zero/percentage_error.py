"""Bicycle rentals are forecast and scored by the mean absolute percentage error.

On one day nothing was rented. The error of that day is divided by 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = 6
# rows = [3]
# fix = "source"
# value = "bounded"
# stands_for = ["D07"]
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(8)
weather = rng.normal(size=(112, 5)).astype("float32")
rentals = rng.poisson(np.exp(4.0 + 0.3 * weather[:, 0])).astype("float32")
rentals[51] = 0.0  # strike


def mape(actual, forecast):
    """Mean absolute percentage error."""
    actual = ops.reshape(actual, (-1, 1))
    relative = ops.abs((actual - forecast) / actual)  # at fault
    return 100.0 * ops.mean(relative, axis=-1)


model = keras.Sequential(
    [
        keras.Input((5,)),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(50.0)),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(0.01), loss=mape, metrics=["mae"])
model.fit(weather, rentals, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("mape, mae:", model.evaluate(weather, rentals, verbose=0))
