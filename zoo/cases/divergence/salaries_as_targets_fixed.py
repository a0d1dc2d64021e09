"""The same salaries, as standardised targets and with an ordinary learning rate."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
rng = np.random.default_rng(1)
people = rng.normal(size=(256, 8)).astype("float32")
salary = 50_000 + 8_000 * people[:, :2].sum(axis=1) + rng.normal(0, 2_000, size=256)

hidden = layers.Dense(16, activation="relu", name="hidden")
salary_head = layers.Dense(1, name="salary")
model = keras.Sequential([keras.Input((8,)), hidden, salary_head])
hidden.set_weights([rng.normal(0, 0.3, size=(8, 16)), np.zeros(16)])
salary_head.set_weights([rng.normal(0, 0.3, size=(16, 1)), np.zeros(1)])
salary = (salary - salary.mean()) / salary.std()

model.compile(keras.optimizers.SGD(0.01), loss=keras.losses.MeanSquaredError())
for epoch in range(3):
    for start in range(0, 256, 16):
        rows = slice(start, start + 16)
        loss = model.train_on_batch(people[rows], salary[rows, None])
    print("epoch", epoch, "loss", float(loss))
