"""Squared log error on bike demand with a linear head. A frozen thermometer drives the prediction
below -1, where log1p is not defined.
"""

# /// zoo
# cause = "out-of-domain"
# step = 6
# rows = [13]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(30)
rng = np.random.default_rng(30)
HOURS, BATCH = 288, 16

weather = np.stack(
    [rng.uniform(0.2, 1.2, HOURS), rng.uniform(0, 1, HOURS), rng.uniform(0, 1, HOURS)], axis=1
).astype("float32")
bikes = (8 * weather[:, 0] + 3 * weather[:, 1] + rng.uniform(0, 1, HOURS)).astype("float32")
weather[6 * BATCH + 13, 0] = -40.0


class RootMeanSquaredLogError(keras.losses.Loss):
    def call(self, y_true, y_pred):
        difference = ops.log1p(y_pred) - ops.log1p(y_true)  # at fault
        return ops.square(difference)


model = keras.Sequential(
    [
        keras.Input((3,)),
        layers.Dense(
            1,
            kernel_initializer=keras.initializers.Constant(2.0),
            bias_initializer="ones",
        ),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(0.05), loss=RootMeanSquaredLogError())
model.fit(weather, bikes[:, None], batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
