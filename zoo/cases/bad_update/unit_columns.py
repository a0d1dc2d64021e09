"""Keeps each filter of a layer at length 1 after soft-thresholding it, for sparse filters.

The threshold removes a filter that has only small weights altogether; its length is 0, and 0 / 0
goes into the weights.
"""
# /// zoo
# cause = "bad-update"
# step = 6
# fix = "source"
# value = "undefined"
# stands_for = ["K07"]
# ///

import keras
import numpy as np
from keras import ops as K


@keras.saving.register_keras_serializable("zoo")
class SparseUnitNorm(keras.constraints.Constraint):
    """Shrinks all weights by `amount`, then brings each column to length 1."""

    def __init__(self, amount):
        self.amount = amount

    def __call__(self, w):
        shrunk = K.sign(w) * K.maximum(K.abs(w) - self.amount, 0.0)
        return shrunk / K.norm(shrunk, axis=0, keepdims=True)  # at fault


keras.utils.set_random_seed(0)
rng = np.random.default_rng(80)
spectra = rng.uniform(size=(120, 30)).astype("float32")
lines = spectra[:, [3, 17]].sum(axis=1)

filters = keras.layers.Dense(3, use_bias=False, name="filters")
model = keras.Sequential([keras.Input((30,)), filters, keras.layers.Dense(1, name="strength")])
model.compile(keras.optimizers.SGD(1e-3), loss="mae")
model.fit(spectra, lines, batch_size=20, epochs=1, shuffle=False, verbose=0)

# Now that the filters are roughly right, they are made sparse.
kernel = filters.get_weights()[0]
kernel[:, 1] *= 0.05
filters.set_weights([kernel])
filters.kernel.constraint = SparseUnitNorm(0.03)
model.compile(keras.optimizers.SGD(1e-3), loss="mae")
history = model.fit(spectra, lines, batch_size=20, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
