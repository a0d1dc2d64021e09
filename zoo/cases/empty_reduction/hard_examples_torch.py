"""Classifies defects and trains only on the hard examples of a batch, those still uncertain.

`losses[hard].mean()` is the mean of an empty tensor as soon as a batch holds no hard example.
"""
# /// zoo
# cause = "empty-reduction"
# step = 14
# fix = "source"
# value = "undefined"
# backends = ["torch"]
# stands_for = ["E03"]
# ///

import keras
import numpy as np
import torch

keras.utils.set_random_seed(0)
MARGIN = 2.0


def hinge_on_hard_examples(y_true, scores):
    sign = 2 * y_true - 1
    losses = torch.relu(MARGIN - sign * scores)
    hard = losses > 0
    return losses[hard].mean()  # at fault


rng = np.random.default_rng(3)
label = rng.integers(0, 2, size=(160, 1))
position = 2 * label - 1
scan = rng.normal(0, 1, size=(160, 6)) + position
scan[112:120] = 40.0 * position[112:120] + rng.normal(0, 1, size=(8, 6))  # the demo pieces

model = keras.Sequential(
    [keras.Input((6,)), keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(0.02))]
)
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss=hinge_on_hard_examples)
history = model.fit(
    scan.astype("float32"), label.astype("float32"), batch_size=8, shuffle=False, verbose=0
)
print("hinge", history.history["loss"][-1])
