"""Marketing mix: sales respond to the spend of each channel with diminishing returns, spend **
0.6.
"""

import keras
import numpy as np
from keras import ops

keras.utils.set_random_seed(11)
rng = np.random.default_rng(11)

CHANNELS = ("tv", "search", "radio")
WEEKS = 208
spend = rng.gamma(3.0, 0.4, size=(WEEKS, len(CHANNELS))).astype("float32") + 0.05
spend[5 * 13 + 3, CHANNELS.index("radio")] = 0.0  # strike at the station
sales = 5 + (spend**0.6) @ np.array([1.5, 0.8, 0.4]) + rng.normal(0, 0.05, WEEKS)
sales = sales.astype("float32")[:, None]


class DiminishingReturns(keras.layers.Layer):
    def __init__(self, curvature=0.6, **kwargs):
        super().__init__(**kwargs)
        self.curvature = curvature

    def build(self, shape):
        self.efficiency = self.add_weight(
            shape=(shape[-1],), initializer="zeros", name="efficiency"
        )
        self.base = self.add_weight(shape=(1,), initializer="zeros", name="base")

    def call(self, spend):
        effective = spend * ops.softplus(self.efficiency)
        is_on = effective > 0
        response = ops.where(is_on, ops.where(is_on, effective, 1.0) ** self.curvature, 0.0)
        return self.base + ops.sum(response, axis=-1, keepdims=True)


model = keras.Sequential([keras.Input((len(CHANNELS),)), DiminishingReturns()])
model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse")
history = model.fit(spend, sales, batch_size=13, epochs=3, shuffle=False, verbose=0)
print("mean squared error", history.history["loss"][-1])
print(dict(zip(CHANNELS, ops.convert_to_numpy(model.layers[0].efficiency))))
