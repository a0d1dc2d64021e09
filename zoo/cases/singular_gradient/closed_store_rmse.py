"""Daily sales of shops are forecast a week ahead; the loss is the RMSE of each shop.

A shop that was closed has only zeros before and after. The linear model without bias predicts its
week perfectly, the mean square is 0, and the root of 0 has an infinite derivative.
"""

# /// zoo
# cause = "singular-gradient"
# step = 3
# rows = [11]
# fix = "source"
# value = "exact"
# stands_for = ["A08", "A09"]
# ///
import keras
import numpy as np
from keras import ops

WINDOW, HORIZON = 28, 7

keras.utils.set_random_seed(0)
rng = np.random.default_rng(5)
days = np.arange(WINDOW + HORIZON)
weekly = 1.0 + 0.4 * np.sin(2 * np.pi * days / 7)
level = rng.lognormal(size=(80, 1))
sales = level * weekly + 0.05 * rng.normal(size=(80, len(days)))
sales[59] = 0.0  # closed for renovation
sales = sales.astype("float32")
past, future = sales[:, :WINDOW], sales[:, WINDOW:]


class HorizonRMSE(keras.losses.Loss):
    """Root of the mean square over the horizon, one value a shop."""

    def call(self, y_true, y_pred):
        squares = ops.square(y_true - y_pred)
        per_shop = ops.mean(squares, axis=-1)
        return ops.power(per_shop, 0.5)  # at fault


forecaster = keras.Sequential(
    [
        keras.Input((WINDOW,)),
        keras.layers.Dense(HORIZON, use_bias=False),
    ]
)
forecaster.compile(optimizer=keras.optimizers.SGD(0.01, momentum=0.9), loss=HorizonRMSE())
log = forecaster.fit(past, future, batch_size=16, epochs=4, shuffle=False, verbose=0)
print("rmse by epoch:", [round(v, 4) for v in log.history["loss"]])
