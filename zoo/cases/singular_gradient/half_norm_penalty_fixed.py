"""The mixture of `half_norm_penalty.py`; the root has no slope at 0."""

import keras
import numpy as np
from keras import ops


class HalfNorm(keras.regularizers.Regularizer):
    """Stronger than L1: the penalty is the sum of square roots."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, w):
        magnitude = ops.abs(w)
        is_used = magnitude > 0
        root = ops.where(is_used, magnitude, 1.0) ** 0.5
        return self.weight * ops.sum(ops.where(is_used, root, 0.0))


keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
library = rng.uniform(size=(12, 40))
abundance = np.zeros((12, 1))
abundance[[1, 4, 9], 0] = [0.5, 1.0, 0.7]
spectra = library.T.repeat(4, axis=0).astype("float32")
mixture = (spectra @ abundance + 0.01 * rng.normal(size=(160, 1))).astype("float32")

unmixing = keras.Sequential(
    [
        keras.Input((12,)),
        keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer=keras.initializers.Constant(0.2),
            kernel_regularizer=HalfNorm(0.2),
            kernel_constraint=keras.constraints.NonNeg(),
        ),
    ]
)
unmixing.compile(optimizer=keras.optimizers.SGD(0.05), loss="mse")
unmixing.fit(spectra, mixture, batch_size=16, epochs=5, shuffle=False, verbose=0)
print("abundances:", np.round(unmixing.get_weights()[0].ravel(), 2))
