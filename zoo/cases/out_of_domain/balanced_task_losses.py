"""Two tasks are balanced by minimising the sum of the logarithms of their losses.

One of the losses is a Gaussian negative log likelihood. It becomes negative as soon as the density
exceeds 1, which is what training is after.
"""

# /// zoo
# cause = "out-of-domain"
# step = {jax = 13, tensorflow = 21, torch = 9}
# fix = "source"
# value = "undefined"
# stands_for = ["D13"]
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(6)
x = rng.normal(size=(320, 6)).astype("float32")
height = (0.3 * x[:, :1] + 0.05 * rng.normal(size=(320, 1))).astype("float32")
kind = (x[:, 1] + 0.5 * rng.normal(size=320) > 0).astype("float32")[:, None]

inputs = keras.Input((6,))
h = layers.Dense(24, activation="tanh")(inputs)
mean = layers.Dense(1, name="mean")(h)
log_sigma = layers.Dense(1, kernel_initializer="zeros", name="log_sigma")(h)
kind_logit = layers.Dense(1, name="kind")(h)


class TwoTasks(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        height, kind = y
        mean, log_sigma, logit = y_pred
        z = (height - mean) * ops.exp(-log_sigma)
        likelihood_loss = ops.mean(0.5 * z**2 + log_sigma)
        kind_loss = ops.mean(
            ops.maximum(logit, 0) - logit * kind + ops.log1p(ops.exp(-ops.abs(logit)))
        )
        return ops.log(kind_loss) + ops.log(likelihood_loss)  # at fault


model = TwoTasks(inputs, [mean, log_sigma, kind_logit])
model.compile(optimizer=keras.optimizers.Adam(3e-3))
history = model.fit(x, (height, kind), batch_size=16, epochs=4, shuffle=False, verbose=0)
print("loss by epoch:", history.history["loss"])
