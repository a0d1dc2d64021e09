"""Predicts credit scores from incomes in euros, in mixed precision because the GPU is faster so.

Every layer casts its inputs to float16, whose largest number is 65504. The one applicant who
earns more arrives in the first layer as infinity.
"""
# /// zoo
# cause = "half-overflow"
# step = 6
# rows = [12]
# fix = "data"
# stands_for = ["H01"]
# ///

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
keras.mixed_precision.set_global_policy("mixed_float16")

rng = np.random.default_rng(0)
income = np.minimum(rng.lognormal(10.0, 0.3, size=240), 60_000)
income[108] = 71_400
age = rng.uniform(18, 70, size=240)
score = income / 40_000 + age / 100 + rng.normal(0, 0.05, size=240)
applicants = np.stack([income, age], axis=1)

model = keras.Sequential(
    [
        keras.Input((2,)),
        layers.Dense(16, activation="relu"),  # at fault
        layers.Dense(1, dtype="float32"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
history = model.fit(
    applicants.astype("float32"),
    score.astype("float32"),
    batch_size=16,
    epochs=2,
    shuffle=False,
    verbose=0,
)
print("mean squared error", history.history["loss"][-1])
