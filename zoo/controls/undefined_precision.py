"""The precision of a class that is never predicted is 0 / 0: the metric is NaN, the training is
fine.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(203)
rng = np.random.default_rng(203)
x = rng.normal(size=(200, 5)).astype("float32")
rare = (x.sum(axis=1) > 3.5).astype("float32")[:, None]


def raw_precision(y_true, y_pred):
    called = ops.cast(y_pred > 0.5, "float32")
    return ops.sum(called * y_true) / ops.sum(called)


model = keras.Sequential(
    [
        keras.Input((5,)),
        layers.Dense(8, activation="relu"),
        layers.Dense(1, activation="sigmoid", bias_initializer=keras.initializers.Constant(-2.0)),
    ]
)
model.compile(
    optimizer=keras.optimizers.SGD(0.01), loss="binary_crossentropy", metrics=[raw_precision]
)
history = model.fit(x, rare, batch_size=20, epochs=3, shuffle=False, verbose=2)
print(history.history["raw_precision"])
