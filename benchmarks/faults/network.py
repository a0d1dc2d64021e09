"""The training that the faults are put into: a small network with something of everything."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

NUM_FEATURES = 6
BATCH_SIZE = 8


@ops.custom_gradient
def _with_gradient(values, added):
    """`values`, with `added` added to their gradient."""

    def gradient(*upstream_of_some, upstream=None):
        given = upstream_of_some[0] if upstream is None else upstream
        return given + added, ops.zeros_like(added)

    return values, gradient


def loss(target, predicted):
    """The squared error. The other columns of the target are put into the loss and gradients."""
    predicted = _with_gradient(predicted, target[:, 2:3])
    return ops.mean(ops.square(predicted - target[:, :1]), axis=-1) + target[:, 1]


class LastLoss(keras.metrics.Metric):
    """The loss of the last batch, where Keras has a mean over the epoch."""

    def __init__(self):
        super().__init__(name="last_loss")
        self.last = self.add_variable((), "zeros", name="last")

    def update_state(self, target, predicted, sample_weight=None):
        self.last.assign(ops.mean(loss(target, predicted)))

    def result(self):
        return ops.convert_to_tensor(self.last)

    def reset_state(self):
        self.last.assign(0.0)


def compiled():
    """The model, with the same initial weights each time."""
    keras.utils.set_random_seed(1)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [
            keras.Input((NUM_FEATURES,)),
            dense(16, activation="relu"),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.Dropout(0.2, seed=2),
            dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=[LastLoss()])
    model.optimizer.build(model.trainable_variables)
    return model


def batches(number):
    """`number` batches `(x, y)` of float32."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(number, BATCH_SIZE, NUM_FEATURES)).astype("float32")
    y = np.zeros((number, BATCH_SIZE, 3), "float32")
    y[..., 0] = np.sin(x.sum(axis=-1))
    return [(x[n], y[n]) for n in range(number)]


class Batches(keras.utils.PyDataset):
    """Batches in a given order; `num_drawn` are drawn so far."""

    def __init__(self, chosen):
        super().__init__()
        self.chosen, self.num_drawn = list(chosen), 0

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, number):
        self.num_drawn = max(self.num_drawn, number + 1)
        return self.chosen[number]


def variables(model):
    """Everything that a step changes, but for metrics."""
    groups = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
    return [variable for group in groups for variable in group]


def values(model):
    """The values of `variables`, copied."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables(model)]
