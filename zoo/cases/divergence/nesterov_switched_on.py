"""Speeds up a regression that worked with gradient descent by switching Nesterov momentum on.

Nesterov momentum of 0.9 lowers the largest stable learning rate from 2 / curvature to about
1.36 / curvature. The old rate lies between the two.
"""
# /// zoo
# cause = "divergence"
# step = 80
# fix = "setting"
# stands_for = ["J01"]
# ///

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)


def half_squared_error(y_true, y_pred):
    return 0.5 * ops.mean(ops.square(y_true - y_pred), axis=-1)


rng = np.random.default_rng(3)
basis, _ = np.linalg.qr(rng.normal(size=(32, 5)))
x = (basis * np.sqrt(32)).astype("float32")
y = (1.25 * x @ rng.normal(size=(5, 1))).astype("float32")

inputs = keras.Input((5,))
outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(inputs)
model = keras.Model(inputs, outputs)
optimizer = keras.optimizers.SGD(1.7, momentum=0.9, nesterov=True)
model.compile(optimizer, loss=half_squared_error)
history = model.fit(x, y, batch_size=32, epochs=95, verbose=0)
print("half squared error", history.history["loss"][-1])
