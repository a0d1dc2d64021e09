"""Dose response with an onset: nothing before it, slope * (t - onset) ** shape after. Two patients
were measured before the onset; the power of a negative number is discarded, its gradient is not.
"""

# /// zoo
# cause = "masked-branch"
# step = 7
# rows = [1, 2]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# ///
import jax
import jax.numpy as jnp
import keras
import numpy as np

keras.utils.set_random_seed(300)
rng = np.random.default_rng(300)
ONSET = 0.5
PATIENTS, BATCH = 160, 10

hours = rng.uniform(0.6, 6.0, PATIENTS)
hours[[71, 72]] = (0.2, 0.4)
dose = rng.uniform(0.5, 2.0, PATIENTS)
response = dose * np.maximum(hours - ONSET, 0) ** 0.8
x = np.stack([hours, dose], axis=1).astype("float32")
y = response.astype("float32")[:, None]


class OnsetCurve(keras.layers.Layer):
    def build(self, input_shape):
        self.raw_shape = self.add_weight(shape=(), initializer="zeros")
        self.slope = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        since = x[:, 0] - ONSET
        shape = jax.nn.softplus(self.raw_shape.value)
        rise = since**shape  # at fault
        effect = jnp.where(since > 0, rise, 0.0)
        return (self.slope * x[:, 1] * effect)[:, None]


inputs = keras.Input((2,))
model = keras.Model(inputs, OnsetCurve()(inputs))
model.compile(optimizer=keras.optimizers.Adam(0.03), loss="mse")
model.fit(x, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
