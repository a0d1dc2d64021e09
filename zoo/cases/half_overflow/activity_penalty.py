"""A penalty on activations, added with add_loss in a model of mixed precision. Squaring an
activation of 400 leaves float16, although the activation itself does not.
"""

# /// zoo
# cause = "half-overflow"
# step = 9
# rows = [6]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(71)
rng = np.random.default_rng(71)
ROWS, BATCH = 200, 10

inputs = rng.uniform(0, 1, (ROWS, 5)).astype("float32")
targets = inputs.sum(axis=1, keepdims=True).astype("float32")
inputs[9 * BATCH + 6] = 230.0


class SparseActivation(layers.Layer):
    def __init__(self, weight=1e-4, **kwargs):
        super().__init__(**kwargs)
        self.weight = weight

    def call(self, h):
        energy = ops.sum(ops.square(h), axis=-1)  # at fault
        self.add_loss(self.weight * ops.mean(ops.cast(energy, "float32")))
        return h


model = keras.Sequential(
    [
        keras.Input((5,)),
        layers.Dense(
            6, "relu", kernel_initializer=keras.initializers.Constant(0.4), dtype="mixed_float16"
        ),
        SparseActivation(dtype="mixed_float16"),
        layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.3)),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(2e-4), loss="mae")
model.fit(inputs, targets, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
