"""A joint angle is predicted and turned into the vector part of a quaternion, sin(a / 2) / a.

jnp.where switches to the limit 0.5 near 0. At exactly 0 the other side is 0 / 0; its value is
dropped, its gradient is not.
"""

# /// zoo
# cause = "masked-branch"
# step = 13
# rows = [3]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# stands_for = ["A18", "B04"]
# ///
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
    quotient = jnp.sin(a / 2) / a  # at fault
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
