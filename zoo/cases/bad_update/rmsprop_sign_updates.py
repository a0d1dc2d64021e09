"""Trains with RMSprop as a sign update: rho and epsilon are 0, all weights move alike.

A relu unit that is off for a whole batch has the gradient 0 there, and the update divides 0 by the
root of 0.
"""
# /// zoo
# cause = "bad-update"
# step = 5
# fix = "setting"
# stands_for = ["K07"]
# ///

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(70)
temperature = rng.uniform(0.1, 1.0, size=(80, 1)).astype("float32")
# Winter begins with batch 5: temperatures below 0.
temperature[40:48] *= -1.0
demand = np.abs(temperature - 0.3)

hinges = keras.layers.Dense(4, activation="relu", name="hinges")
model = keras.Sequential([keras.Input((1,)), hinges, keras.layers.Dense(1, name="demand")])
hinges.set_weights([np.array([[1.0, 2.0, 0.5, -1.0]]), np.array([0.01, 0.02, 0.01, 1.5])])

signs = keras.optimizers.RMSprop(1e-4, rho=0.0, epsilon=0.0)  # at fault
model.compile(optimizer=signs, loss="mse", metrics=["mae"])
history = model.fit(temperature, demand, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
