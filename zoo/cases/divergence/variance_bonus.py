"""Forecasts that shall not be too cautious: a bonus for their square is taken off the loss. It
outweighs the error, larger is always better, and the forecasts leave float32.
"""

# /// zoo
# cause = "divergence"
# step = 15
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(306)
rng = np.random.default_rng(306)
DAYS, BATCH = 480, 12
BONUS = 2.0

x = rng.normal(0, 10, (DAYS, 4)).astype("float32")
y = (x @ np.array([0.5, -1.0, 0.2, 0.1]) + rng.normal(0, 2, DAYS)).astype("float32")[:, None]


def daring_error(y_true, y_pred):
    return ops.square(y_true - y_pred) - BONUS * ops.square(y_pred)  # at fault


model = keras.Sequential([keras.Input((4,)), layers.Dense(1, kernel_initializer="ones")])
model.compile(optimizer=keras.optimizers.SGD(0.08), loss=daring_error)
history = model.fit(x, y, batch_size=BATCH, epochs=4, shuffle=False, verbose=0)
print([round(loss, 3) for loss in history.history["loss"]])
