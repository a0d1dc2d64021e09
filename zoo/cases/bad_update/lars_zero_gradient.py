"""Layer-wise rates by a trust ratio. A blank batch gives a gradient of 0, and the ratio is a norm
divided by 0."""

# /// zoo
# cause = "bad-update"
# step = 11
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(87)
rng = np.random.default_rng(87)

x = rng.normal(size=(160, 7)).astype("float32")
y = x[:, :2] * 0.5
x[88:96] = 0.0  # the recorder was off
y[88:96] = 0.0


class LARS(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, trust=0.02, **kwargs):
        super().__init__(learning_rate=learning_rate, name="lars", **kwargs)
        self.trust = trust

    def update_step(self, gradient, variable, learning_rate):
        w = ops.norm(variable)
        g = ops.norm(gradient)
        ratio = self.trust * w / g  # at fault
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * ratio * gradient)


model = keras.Sequential(
    [
        keras.Input((7,)),
        layers.Dense(12, activation="tanh", use_bias=False),
        layers.Dense(2, use_bias=False),
    ]
)
model.compile(optimizer=LARS(0.05), loss="mse")
model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
