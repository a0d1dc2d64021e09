"""A table with NaN for missing values; the model itself replaces them and tells the network
where.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(204)
rng = np.random.default_rng(204)
table = rng.normal(size=(240, 6)).astype("float32")
label = (table[:, 0] - table[:, 3] > 0).astype("int32")
table[rng.uniform(size=table.shape) < 0.15] = np.nan


class Impute(layers.Layer):
    def build(self, shape):
        self.default = self.add_weight(shape=(shape[-1],), initializer="zeros", name="default")

    def call(self, x):
        missing = ops.isnan(x)
        filled = ops.where(missing, ops.convert_to_tensor(self.default), x)
        return ops.concatenate([filled, ops.cast(missing, filled.dtype)], axis=-1)


model = keras.Sequential(
    [
        keras.Input((6,)),
        Impute(),
        layers.BatchNormalization(),
        layers.Dense(12, activation="relu"),
        layers.Dense(2, activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(table, label, batch_size=24, epochs=3, shuffle=False, verbose=2)
