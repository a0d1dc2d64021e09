"""A small GAN: two models, two optimizers, losses that swing and logits that grow."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(20)
bce = keras.losses.BinaryCrossentropy(from_logits=True)

generator = keras.Sequential(
    [keras.Input((4,)), keras.layers.Dense(16, "relu"), keras.layers.Dense(2)], name="generator"
)
discriminator = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(16),
        keras.layers.LeakyReLU(negative_slope=0.2),
        keras.layers.Dense(1),
    ],
    name="discriminator",
)
discriminator.compile(keras.optimizers.Adam(5e-3, beta_1=0.5), bce)

judge = keras.models.clone_model(discriminator)
judge.trainable = False
noise_input = keras.Input((4,))
combined = keras.Model(noise_input, judge(generator(noise_input)))
combined.compile(keras.optimizers.Adam(2e-3, beta_1=0.5), bce)

for _ in range(30):
    angle = rng.uniform(0.0, 2.0 * np.pi, 32)
    real = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    noise = rng.normal(size=(32, 4)).astype("float32")
    fake = keras.ops.convert_to_numpy(generator(noise))
    points = np.concatenate([real, fake]).astype("float32")
    kinds = np.repeat([[1.0], [0.0]], 32, axis=0)
    d_loss = discriminator.train_on_batch(points, kinds)
    judge.set_weights(discriminator.get_weights())
    g_loss = combined.train_on_batch(noise, np.ones((32, 1)))
print("discriminator", float(d_loss), "generator", float(g_loss))
