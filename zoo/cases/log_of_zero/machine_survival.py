"""The hazard of machines is modelled week by week; surviving a week adds log(1 - hazard).

A machine with a temperature in the wrong unit gets a hazard of exactly 1 although it survived, and
log1p(-1) is -inf.
"""

# /// zoo
# cause = "log-of-zero"
# step = 4
# rows = [13]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 2b", "GRIST 9a"]
# ///
import keras
import numpy as np
from keras import layers, ops

WEEKS = 5
keras.utils.set_random_seed(0)
rng = np.random.default_rng(83)
sensors = rng.normal(size=(128, 4))
failed = np.zeros((128, WEEKS), "float32")
failed[np.arange(0, 128, 5), rng.integers(WEEKS, size=26)] = 1.0
at_risk = (np.cumsum(failed, axis=1) - failed == 0).astype("float32")
sensors[77, 2], failed[77], at_risk[77] = 30000.0, 0.0, 1.0
sensors = sensors.astype("float32")


class DiscreteTimeSurvival(keras.losses.Loss):
    def call(self, y_true, hazard):
        event, risk = ops.split(y_true, 2, axis=-1)
        log_survive = ops.log1p(-hazard)  # at fault
        log_fail = ops.log(hazard + 1e-20)
        return -ops.sum(risk * ((1 - event) * log_survive + event * log_fail), axis=-1)


upward = keras.initializers.RandomUniform(0.01, 0.02, seed=0)
model = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Dense(WEEKS, activation="sigmoid", kernel_initializer=upward),
    ]
)
model.compile(optimizer=keras.optimizers.SGD(1e-4), loss=DiscreteTimeSurvival())
target = np.concatenate([failed, at_risk], axis=1)
model.fit(sensors, target, batch_size=16, epochs=3, shuffle=False, verbose=0)
print("negative log likelihood:", model.evaluate(sensors[:64], target[:64], verbose=0))
