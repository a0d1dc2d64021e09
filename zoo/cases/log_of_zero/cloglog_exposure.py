"""Discrete-time failures with exposure: P(fail) = 1 - exp(-rate * days). One unit failed on the day
of its installation, with 0 days of exposure, and the log of its probability is log(0).
"""

# /// zoo
# cause = "log-of-zero"
# step = 13
# rows = [9]
# fix = "source"
# value = "bounded"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(4)
rng = np.random.default_rng(4)
UNITS, BATCH = 480, 24

covariates = rng.normal(size=(UNITS, 4)).astype("float32")
days = rng.uniform(0.5, 3.0, UNITS)
days[13 * BATCH + 9] = 0.0
risk = np.exp(-0.5 + 0.4 * covariates[:, 0])
failed = rng.uniform(size=UNITS) < 1 - np.exp(-risk * days)
failed[13 * BATCH + 9] = True
y = np.stack([failed, days], axis=1).astype("float32")


def exposure_likelihood(y_true, log_rate):
    failed, days = y_true[:, 0], y_true[:, 1]
    hazard = ops.exp(log_rate[:, 0]) * days
    log_survival = -hazard
    log_failure = ops.log(1.0 - ops.exp(-hazard))  # at fault
    return -(failed * log_failure + (1.0 - failed) * log_survival)


inputs = keras.Input((4,))
hidden = layers.Dense(8, activation="elu")(inputs)
model = keras.Model(inputs, layers.Dense(1, kernel_initializer="zeros")(hidden))
model.compile(loss=exposure_likelihood, optimizer=keras.optimizers.Adam(2e-3))
for epoch in range(2):
    for start in range(0, UNITS, BATCH):
        window = slice(start, start + BATCH)
        loss = model.train_on_batch(covariates[window], y[window])
    print(f"epoch {epoch}: {float(loss):.4f}")
