"""Air quality at three stations, of which some hours are missing. nan_to_num drops the missing
errors from the loss, and their gradient is 0 * NaN."""

# /// zoo
# cause = "masked-branch"
# step = 7
# rows = [3, 4]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(13)
rng = np.random.default_rng(13)

weather = rng.normal(size=(144, 4)).astype("float32")
pm10 = (weather @ rng.normal(size=(4, 3)) + 0.1 * rng.normal(size=(144, 3))).astype("float32")
pm10[59, 1] = np.nan  # station 1 is being serviced
pm10[60, 1] = np.nan


def observed_error(y_true, y_pred):
    squared = (y_pred - y_true) ** 2  # at fault
    return ops.sum(ops.nan_to_num(squared), axis=-1)


model = keras.Sequential([keras.Input((4,)), layers.Dense(12, activation="gelu"), layers.Dense(3)])
model.compile(optimizer=keras.optimizers.Nadam(2e-3), loss=observed_error)
model.fit(weather, pm10, batch_size=8, epochs=2, shuffle=False, verbose=0)
