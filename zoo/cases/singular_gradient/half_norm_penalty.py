"""A sparse, non-negative mixture of spectra is fitted with a penalty on sqrt(|w|).

The constraint sets a weight that would become negative to exactly 0. There the derivative of |w|
** 0.5 is infinite, so the step after the first weight has been set to 0 is not finite.
"""

# /// zoo
# cause = "singular-gradient"
# step = 23
# fix = "source"
# value = "exact"
# stands_for = ["A07"]
# ///
import keras
import numpy as np
from keras import ops


class HalfNorm(keras.regularizers.Regularizer):
    """Stronger than L1: the penalty is the sum of square roots."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, w):
        magnitude = ops.abs(w)
        return self.weight * ops.sum(magnitude**0.5)  # at fault


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
