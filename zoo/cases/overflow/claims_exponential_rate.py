"""Counts insurance claims a year with a Poisson regression, rate = exp(linear predictor).

The exponential activation is the textbook link function. A fleet has an annual mileage fifty
times that of a private car, which puts its linear predictor above 88.7.
"""
# /// zoo
# cause = "overflow"
# step = 14
# rows = [4]
# fix = "source"
# value = "bounded"
# stands_for = ["D08"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(9)

mileage = rng.gamma(4.0, 0.25, size=200)  # in 10,000 km
age = rng.uniform(-1, 1, size=200)
claims = rng.poisson(np.exp(0.5 + 0.9 * mileage - 0.4 * age)).astype("float32")
mileage[116] = 200.0
claims[116] = 61.0
x = np.stack([mileage, age], axis=1).astype("float32")

model = keras.Sequential(
    [
        keras.Input(shape=(2,)),
        keras.layers.Dense(1, activation="exponential", kernel_initializer="zeros"),  # at fault
    ]
)
model.compile(loss=keras.losses.Poisson(), optimizer=keras.optimizers.Adam(0.1))
history = model.fit(x, claims[:, None], batch_size=8, epochs=2, shuffle=False, verbose=0)
print(f"deviance {history.history['loss'][-1]:.4f}")
