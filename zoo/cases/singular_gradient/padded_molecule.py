"""The geometry of molecules is predicted; the loss compares all distances between atoms.

Molecules are padded with zeros to the same number of atoms. Two padding atoms are predicted at the
same place, and the derivative of the norm of a zero vector is 0 / 0 in jax.numpy.
"""

# /// zoo
# cause = "singular-gradient"
# step = 11
# rows = [6]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# stands_for = ["A08", "B04"]
# ///
import jax.numpy as jnp
import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(17)
NUM_ATOMS = 5
atoms = rng.normal(size=(112, NUM_ATOMS, 8))
atoms[94, 3:] = 0.0  # the only molecule with less than five atoms
true_map = rng.normal(size=(8, 3)) / 3
places = atoms @ true_map
atoms, places = atoms.astype("float32"), places.astype("float32")
FIRST, SECOND = np.triu_indices(NUM_ATOMS, k=1)


def pair_distances(xyz):
    between = xyz[:, FIRST] - xyz[:, SECOND]
    return jnp.linalg.norm(between, axis=-1)  # at fault


def distance_loss(y_true, y_pred):
    error = pair_distances(y_true) - pair_distances(y_pred)
    return jnp.mean(jnp.square(error), axis=-1)


model = keras.Sequential(
    [
        keras.Input((NUM_ATOMS, 8)),
        keras.layers.Dense(16, use_bias=False, activation="silu"),
        keras.layers.Dense(3, use_bias=False),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(5e-3), loss=distance_loss)
model.fit(atoms, places, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("distance loss:", model.evaluate(atoms, places, verbose=0))
