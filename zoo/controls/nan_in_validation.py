"""A validation metric that has no value on a validation set with one class only.

The correlation with constants is 0 / 0. Training does not use it.
"""
# /// zoo
# stands_for = ["L11"]
# ///

import keras
import numpy as np
from keras import ops


class Correlation(keras.metrics.Metric):
    """Pearson correlation of the last batch."""

    def __init__(self, name="correlation"):
        super().__init__(name=name)
        self.value = self.add_variable((), "zeros", name="value")

    def update_state(self, y_true, y_pred, sample_weight=None):
        true = ops.reshape(ops.cast(y_true, "float32"), (-1,))
        said = ops.reshape(y_pred, (-1,))
        true, said = true - ops.mean(true), said - ops.mean(said)
        norms = ops.sqrt(ops.sum(true * true) * ops.sum(said * said))
        self.value.assign(ops.sum(true * said) / norms)

    def result(self):
        return self.value + 0.0


keras.utils.set_random_seed(0)
rng = np.random.default_rng(22)
x = rng.normal(size=(96, 3)).astype("float32")
y = (x[:, 0] > 0).astype("float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
loss = keras.losses.BinaryCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=[Correlation()])
history = model.fit(
    x, y, batch_size=16, epochs=2, verbose=0, validation_data=(x[:8], np.ones(8, "float32"))
)
print({name: values[-1] for name, values in history.history.items()})
