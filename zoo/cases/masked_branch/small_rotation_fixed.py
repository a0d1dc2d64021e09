"""The arm of `small_rotation.py` with a second `where` on the argument of the quotient."""

import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(41)
cables = rng.normal(size=(160, 6))
cables[107] = 0.0  # the arm at rest
angle = cables @ rng.normal(scale=0.3, size=(6, 1))
vector = np.sin(angle / 2)
cables, vector = cables.astype("float32"), vector.astype("float32")


def half_sinc(a):
    safe = jnp.where(jnp.abs(a) < 1e-6, 1.0, a)
    quotient = jnp.sin(safe / 2) / safe
    return jnp.where(jnp.abs(a) < 1e-6, 0.5, quotient)


class VectorPart(layers.Layer):
    def call(self, a):
        return half_sinc(a) * a


arm = keras.Sequential(
    [
        keras.Input((6,)),
        layers.Dense(12, activation="tanh", use_bias=False),
        layers.Dense(1, use_bias=False),
        VectorPart(),
    ]
)
arm.compile(optimizer=keras.optimizers.Adamax(1e-2), loss="mse")
arm.fit(cables, vector, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("squared error:", arm.evaluate(cables, vector, verbose=0))
