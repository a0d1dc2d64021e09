"""Insurance claims are fitted with the Tweedie deviance of power 1.5 on a linear output.

The deviance takes a root of the prediction. A policy with a discount that was entered as a whole
number gets a negative prediction.
"""

# /// zoo
# cause = "out-of-domain"
# step = 13
# rows = [0]
# fix = "source"
# value = "undefined"
# stands_for = ["D08", "C06"]
# ///
import keras
import numpy as np
from keras import ops

POWER = 1.5
keras.utils.set_random_seed(0)
rng = np.random.default_rng(7)
policies = rng.uniform(0.0, 1.0, size=(160, 3))
claims = rng.gamma(2.0, 1.0 + policies[:, 0]) * (rng.uniform(size=160) < 0.6)
policies[104, 2] = 50.0  # per cent
policies, claims = policies.astype("float32"), claims.astype("float32")


class TweedieDeviance(keras.losses.Loss):
    """Deviance without the terms that do not depend on the prediction."""

    def __init__(self, power):
        super().__init__(name="tweedie")
        self.power = power

    def call(self, y_true, y_pred):
        y_pred = ops.squeeze(y_pred, axis=-1)
        rate = ops.power(y_pred, 1.0 - self.power)  # at fault
        scale = ops.square(ops.sqrt(ops.abs(y_pred) + 1e-6))
        return y_true * rate / (self.power - 1.0) + rate * scale / (2.0 - self.power)


start = keras.initializers.Constant([[1.0], [0.2], [-0.4]])
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(1, kernel_initializer=start, bias_initializer="ones")]
)
model.compile(optimizer=keras.optimizers.SGD(0.002), loss=TweedieDeviance(POWER))
model.fit(policies, claims[:, None], batch_size=8, epochs=1, shuffle=False, verbose=0)
print("deviance:", model.evaluate(policies[:104], claims[:104, None], verbose=0))
