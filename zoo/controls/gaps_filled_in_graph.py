"""Blood values with gaps as NaN; the first layer fills them by a learned value and adds a flag."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(9)
rng = np.random.default_rng(9)
x = rng.normal(size=(160, 5)).astype("float32")
y = x[:, :1] * 0.5
x[rng.random(x.shape) < 0.15] = np.nan


class Fill(layers.Layer):
    def build(self, shape):
        self.value = self.add_weight(shape=(shape[-1],), initializer="zeros", name="value")

    def call(self, x):
        gap = ops.isnan(x)
        return ops.concatenate(
            [ops.where(gap, ops.convert_to_tensor(self.value), x), ops.cast(gap, "float32")],
            axis=-1,
        )


model = keras.Sequential(
    [keras.Input((5,)), Fill(), layers.Dense(12, activation="relu"), layers.Dense(1)]
)
model.compile(optimizer="adam", loss="mse")
model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
