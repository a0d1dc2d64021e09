"""Predicts house prices with the Mish activation, typed in from the paper.

`tanh(log(1 + exp(x)))` is fine as a value even where `exp` is infinite: tanh(inf) is 1. Its
gradient is not, 0 times infinity. It takes one large lot, in square metres, to get there.
"""
# /// zoo
# cause = "overflow"
# step = 9
# rows = [3]
# fix = "source"
# value = "exact"
# stands_for = ["D10"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)


@keras.saving.register_keras_serializable()
def mish(x):
    return x * keras.ops.tanh(keras.ops.log(1.0 + keras.ops.exp(x)))  # at fault


rng = np.random.default_rng(4)
rooms = rng.integers(2, 8, size=120)
age = rng.uniform(0, 5, size=120)
lot = rng.uniform(1, 9, size=120)  # in 100 square metres
lot[75] = 2400.0  # a farm
price = 0.5 * rooms + 0.3 * np.minimum(lot, 20) - 0.2 * age + rng.normal(0, 0.1, size=120)
houses = np.stack([rooms, age, lot], axis=1).astype("float32")

model = keras.Sequential()
model.add(keras.Input(shape=(3,)))
model.add(keras.layers.Dense(48, activation=mish))
model.add(keras.layers.Dense(1))
model.compile(loss="mae", optimizer=keras.optimizers.RMSprop(1e-3))
fit = model.fit(houses, price.astype("float32"), batch_size=8, epochs=2, shuffle=False, verbose=0)
print("mean absolute error", fit.history["loss"][-1])
