"""Corrects a survey for who answered, with weights scaled to a sum of 1 in every batch.

People outside the target group have weight 0. Sorted by date, one batch holds only visitors
from abroad, all of them outside; 0 is divided by a sum of 0.
"""
# /// zoo
# cause = "empty-reduction"
# step = 9
# fix = "source"
# value = "undefined"
# stands_for = ["E03"]
# ///

import keras
import numpy as np
from keras import ops


class Weighted(keras.Model):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, x):
        return self.network(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        share = sample_weight / ops.sum(sample_weight)  # at fault
        errors = ops.square(y_pred[:, 0] - y)
        return ops.sum(share * errors)


keras.utils.set_random_seed(0)
rng = np.random.default_rng(1)
answers = rng.normal(size=(240, 5)).astype("float32")
satisfaction = (answers @ [0.5, -0.2, 0.1, 0.0, 0.3] + rng.normal(0, 0.1, 240)).astype("float32")
weight = rng.gamma(3.0, 1.0, size=240) * (rng.uniform(size=240) < 0.7)
weight[::7] = 1.0
weight[108:120] = 0.0

network = keras.Sequential([keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
model = Weighted(network)
model.compile(optimizer=keras.optimizers.Adam(0.01))
history = model.fit(
    answers,
    satisfaction,
    sample_weight=weight.astype("float32"),
    batch_size=12,
    epochs=2,
    shuffle=False,
    verbose=0,
)
print("weighted error", history.history["loss"])
