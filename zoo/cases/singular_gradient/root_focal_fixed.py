"""Focal loss with gamma 0.5."""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)


class RootFocal(keras.losses.Loss):
    def __init__(self, gamma=0.5, alpha=0.6, **kwargs):
        super().__init__(**kwargs)
        self.gamma = gamma
        self.alpha = alpha

    def call(self, y_true, y_pred):
        p_t = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
        balance = y_true * self.alpha + (1.0 - y_true) * (1.0 - self.alpha)
        is_wrong = p_t < 1.0
        hard = ops.power(ops.where(is_wrong, 1.0 - p_t, 1.0), self.gamma)
        hard = ops.where(is_wrong, hard, 0.0)
        return ops.mean(-balance * hard * ops.log(p_t), axis=-1)


x = rng.normal(size=(256, 3)).astype("float32")
y = (x[:, :1] + 0.3 * rng.normal(size=(256, 1)) > 0).astype("float32")
x[17 * 8 + 6], y[17 * 8 + 6] = (
    (180.0, 0.1, -0.2),
    1.0,
)  # a transaction of a hundred times the usual amount

model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
model.compile(optimizer=keras.optimizers.SGD(0.5), loss=RootFocal(), metrics=["accuracy"])
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
