"""Outputs are divided by the sum of their absolute weights; a constraint prunes small weights.

When the last weight of a unit has been pruned the sum is 0, and so is the product: 0 / 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = 1
# fix = "source"
# value = "undefined"
# stands_for = ["GRIST 28b", "GRIST 28d"]
# ///
import keras
import numpy as np
from keras import layers
from keras import ops as K
from sklearn.datasets import load_digits


class Prune(keras.constraints.Constraint):
    """Sets weights below a threshold to 0."""

    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, w):
        return w * K.cast(K.abs(w) >= self.threshold, "float32")


class BoundedSum(layers.Layer):
    """x @ w / sum |w|: the output of a unit stays in the range of its inputs."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        # The last unit starts weaker than the others.
        start = np.linspace(1.0, 0.05, self.units) * np.ones((input_shape[-1], 1))
        start[::2] *= -1.0
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer=keras.initializers.Constant(start),
            constraint=Prune(0.1),
            name="w",
        )

    def call(self, x):
        total = K.sum(K.abs(self.w), axis=0)
        product = K.matmul(x, self.w)
        return product / total  # at fault


keras.utils.set_random_seed(0)
x, digit = load_digits(return_X_y=True)
x, digit = (x[:400] / 16).astype("float32"), digit[:400]

model = keras.Sequential(
    [
        keras.Input((64,)),
        layers.Dense(32, activation="tanh"),
        BoundedSum(12),
        layers.Dense(10),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, digit, batch_size=32, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(x, digit, verbose=0))
