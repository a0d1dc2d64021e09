"""Three water qualities are regressed; laboratories did not measure all of them every time.

What is missing is NaN in the targets, and the loss sets those terms to 0 with `where`. The value
is right; the gradient of the square, 2 * (p - NaN) * 0, is NaN.
"""

# /// zoo
# cause = "masked-branch"
# step = 4
# rows = [5, 12]
# fix = "source"
# value = "exact"
# stands_for = ["B10"]
# ///
import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(19)
probes = rng.normal(size=(128, 10)).astype("float32")
quality = np.tanh(probes @ rng.normal(scale=0.4, size=(10, 3))).astype("float32")
quality[69, 1] = np.nan
quality[76, 0] = np.nan
quality[101, 2] = np.nan


def masked_squared_error(y_true, y_pred):
    missing = ops.isnan(y_true)
    error = ops.square(y_true - y_pred)  # at fault
    counted = ops.sum(1.0 - ops.cast(missing, "float32"), axis=-1)
    return ops.sum(ops.where(missing, 0.0, error), axis=-1) / counted


inputs = keras.Input((10,))
x = keras.layers.Dense(24, activation="gelu")(inputs)
x = keras.layers.LayerNormalization()(x)
outputs = keras.layers.Dense(3)(x)
model = keras.Model(inputs, outputs)
model.compile(optimizer="rmsprop", loss=masked_squared_error)
model.fit(probes, quality, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(probes, quality, verbose=0))
