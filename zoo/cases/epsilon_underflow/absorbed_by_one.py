"""A discriminator whose epsilon is added to 1 first, where it is lost. One sample is refused with a
probability of exactly 1."""

# /// zoo
# cause = "epsilon-underflow"
# step = 19
# rows = [1]
# fix = "source"
# value = "exact"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(57)
rng = np.random.default_rng(57)

EPS = 1e-9

x = rng.normal(size=(224, 2)).astype("float32")
real = (x[:, :1] + 0.5 * x[:, 1:] > 0).astype("float32")
x[153], real[153] = (70.0, 40.0), 0.0


def discriminator_loss(real, p):
    refused = [ops.log(p + EPS), ops.log(1.0 + EPS - p)]  # at fault
    return -ops.mean(real * refused[0] + (1.0 - real) * refused[1], axis=-1)


model = keras.Sequential([keras.Input((2,)), layers.Dense(1, activation="sigmoid")])
model.compile(optimizer=keras.optimizers.SGD(0.8), loss=discriminator_loss)
model.fit(x, real, batch_size=8, epochs=1, shuffle=False, verbose=0)
