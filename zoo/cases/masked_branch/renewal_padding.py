"""A Weibull renewal process of machine failures. Short histories are padded with gaps of 0, and the
mask multiplies their log-likelihood of minus infinity by 0.
"""

# /// zoo
# cause = "masked-branch"
# step = 10
# rows = [1, 4]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(2)
rng = np.random.default_rng(2)
MACHINES, EVENTS, BATCH = 128, 8, 8

age = rng.uniform(0, 1, (MACHINES, 3)).astype("float32")
gaps = (1.5 * rng.weibull(1.7, (MACHINES, EVENTS)) + 0.05).astype("float32")
observed = np.ones((MACHINES, EVENTS), "float32")
for machine, count in ((81, 3), (84, 6)):
    gaps[machine, count:] = 0.0
    observed[machine, count:] = 0.0
target = np.stack([gaps, observed], axis=-1)


class WeibullNLL(keras.losses.Loss):
    def call(self, y_true, y_pred):
        gap, mask = y_true[..., 0], y_true[..., 1]
        scale, shape = y_pred[:, :1], y_pred[:, 1:]
        log_ratio = ops.log(gap / scale)  # at fault
        log_pdf = ops.log(shape / scale) + (shape - 1.0) * log_ratio - (gap / scale) ** 2
        return -ops.sum(mask * log_pdf, axis=-1) / ops.sum(mask, axis=-1)


model = keras.Sequential(
    [
        keras.Input((3,)),
        layers.Dense(8, activation="tanh"),
        layers.Dense(2, activation="softplus", bias_initializer="ones"),
    ]
)
model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss=WeibullNLL())
model.fit(age, target, batch_size=BATCH, epochs=1, shuffle=False, verbose=2)
