"""Initialises each layer by hand with a deviation of sqrt(2 / (fan_in - 1)).

The second branch of the network has one input. Its fan is 1, the deviation is infinite.
"""
# /// zoo
# cause = "bad-weights"
# step = 0
# fix = "source"
# value = "bounded"
# stands_for = ["J04"]
# ///

import keras
import numpy as np


class SampledDeviation(keras.initializers.Initializer):
    """He initialisation, with the denominator of a sample variance."""

    def __init__(self, seed):
        self.generator = np.random.default_rng(seed)

    def __call__(self, shape, dtype=None):
        """Draw a kernel of `shape`."""
        fan_in = np.float32(np.prod(shape[:-1]))
        with np.errstate(divide="ignore"):
            scale = np.sqrt(np.float32(2.0) / (fan_in - 1))  # at fault
        values = self.generator.standard_normal(shape).astype("float32")
        return keras.ops.convert_to_tensor(scale * values, dtype=dtype)


def branch(inputs, units, seed):
    dense = keras.layers.Dense(units, "relu", kernel_initializer=SampledDeviation(seed))
    return dense(inputs)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(3)
images = rng.uniform(size=(96, 20)).astype("float32")
age = rng.uniform(0.2, 0.9, size=(96, 1)).astype("float32")
score = images[:, :3].mean(axis=1, keepdims=True) + age

image_input = keras.Input((20,), name="image")
age_input = keras.Input((1,), name="age")
merged = keras.layers.Concatenate()([branch(image_input, 12, 1), branch(age_input, 4, 2)])
model = keras.Model([image_input, age_input], keras.layers.Dense(1, name="score")(merged))
model.compile("adam", "mse")
history = model.fit([images, age], score, batch_size=12, epochs=4, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
