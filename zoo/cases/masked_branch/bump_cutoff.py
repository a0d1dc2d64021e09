"""Toy interatomic potential: a smooth radial basis with a learned cutoff radius."""

# /// zoo
# cause = "masked-branch"
# step = 8
# rows = [5]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# ///

import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
ATOMS, NEIGHBOURS, BATCH = 400, 8, 25

near = rng.uniform(0.2, 0.85, (ATOMS, NEIGHBOURS))
far = rng.uniform(1.3, 2.5, (ATOMS, NEIGHBOURS))
r = np.where(rng.random((ATOMS, NEIGHBOURS)) < 0.6, near, far).astype("float32")
r[8 * BATCH + 5, 3] = 1.0025  # a neighbour that has just left the sphere
energy = np.where(r < 1.0, (1 - r) ** 2, 0).sum(1, keepdims=True).astype("float32")


def bump(r, cutoff):
    u = r / cutoff
    shape = jnp.exp(1.0 - 1.0 / (1.0 - u**2))  # at fault
    return jnp.where(u < 1.0, shape, 0.0)


class Envelope(layers.Layer):
    def build(self, _):
        self.cutoff = self.add_weight(shape=(), initializer="ones", name="cutoff")

    def call(self, r):
        env = bump(r, self.cutoff.value)
        return jnp.stack([env, env * r, env * r**2], axis=-1)


inputs = keras.Input((NEIGHBOURS,))
features = Envelope()(inputs)
pair = layers.Dense(16, activation="swish")(features)
pair = layers.Dense(1)(pair)
out = layers.Lambda(lambda e: jnp.sum(e, axis=1), output_shape=(1,))(pair)
model = keras.Model(inputs, out)
model.compile(keras.optimizers.Adam(1e-4), "mae")
model.fit(r, energy, batch_size=BATCH, epochs=1, shuffle=False, verbose=2)
