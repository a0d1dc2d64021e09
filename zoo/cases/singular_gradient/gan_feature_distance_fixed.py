"""GAN on 2-d points; the generator also matches paired targets in Euclidean distance."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(62)
rng = np.random.default_rng(62)
BATCH, STEPS = 16, 18
condition = rng.normal(size=(BATCH * STEPS, 4)).astype("float32")
points = (condition @ rng.normal(size=(4, 2))).astype("float32")
condition[7 * BATCH + 12] = 0.0
points[7 * BATCH + 12] = 0.0  # an empty record

generator = keras.Sequential(
    [
        keras.Input((4,)),
        layers.Dense(16, activation="relu", use_bias=False),
        layers.Dense(2, use_bias=False),
    ]
)
critic = keras.Sequential([keras.Input((2,)), layers.Dense(16, activation="relu"), layers.Dense(1)])
critic.compile(keras.optimizers.SGD(0.01), keras.losses.BinaryCrossentropy(from_logits=True))


def distance(y_true, y_pred):
    gap = ops.subtract(y_true, y_pred)
    power = ops.sum(ops.multiply(gap, gap), axis=-1)
    apart = power > 0
    return ops.where(apart, ops.power(ops.where(apart, power, 1.0), 0.5), 0.0)


generator.compile(keras.optimizers.Adam(0.01), distance)

for step in range(STEPS):
    part = slice(step * BATCH, (step + 1) * BATCH)
    g_loss = generator.train_on_batch(condition[part], points[part])
    if step % 3 == 2:
        fake = generator.predict_on_batch(condition[part])
        pool = np.concatenate([points[part], fake])
        label = np.repeat([1.0, 0.0], BATCH)[:, None]
        d_loss = critic.train_on_batch(pool, label)
