"""A GAN whose discriminator wins at once; everything stays in logit space."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(60)
rng = np.random.default_rng(60)
BATCH = 32
generator = keras.Sequential([keras.Input((4,)), layers.Dense(16, "relu"), layers.Dense(2)])
critic = keras.Sequential([keras.Input((2,)), layers.Dense(32, "relu"), layers.Dense(1)])
critic.compile(keras.optimizers.Adam(0.05), keras.losses.BinaryCrossentropy(from_logits=True))
frozen = keras.Sequential([generator, critic])
frozen_loss = keras.losses.BinaryCrossentropy(from_logits=True)
critic.trainable = False
frozen.compile(keras.optimizers.Adam(1e-4), frozen_loss)
critic.trainable = True
critic.compile(keras.optimizers.Adam(0.05), keras.losses.BinaryCrossentropy(from_logits=True))

for _ in range(12):
    z = rng.normal(size=(BATCH, 4)).astype("float32")
    real = (100.0 + rng.normal(size=(BATCH, 2))).astype("float32")
    fake = ops.convert_to_numpy(generator(z))
    both = np.concatenate([real, fake])
    sign = np.repeat([[1.0], [0.0]], BATCH, axis=0).astype("float32")
    d = critic.train_on_batch(both, sign)
    g = frozen.train_on_batch(z, np.ones((BATCH, 1), "float32"))
print(float(d), float(g))
