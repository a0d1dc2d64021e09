"""A variational autoencoder of binarised digits with the reconstruction loss of a text book.

log(1e-10 + 1 - p) looks guarded, but 1e-10 + 1 is 1 in float32: the epsilon does nothing, and
where the sigmoid of a pixel is 1 the argument is exactly 0.
"""

# /// zoo
# cause = "epsilon-underflow"
# step = 13
# rows = [2]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 35a", "GRIST 36a", "GRIST 39a", "GRIST 43a", "GRIST 49a"]
# ///
import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
x = (load_digits().data[:320] > 7).astype("float32")
rng = np.random.default_rng(16)
epsilon = rng.normal(size=(320, 4))
epsilon[210] *= 2000.0  # a corrupt line of the noise file
epsilon = epsilon.astype("float32")

pixels = keras.Input((64,))
noise = keras.Input((4,))
h = layers.Dense(32, activation="softplus")(pixels)
mean = layers.Dense(4)(h)
log_sigma_sq = layers.Dense(4, kernel_initializer="zeros")(h)
z = layers.Lambda(lambda a: a[0] + ops.exp(0.5 * a[1]) * a[2], output_shape=(4,))(
    [mean, log_sigma_sq, noise]
)
g = layers.Dense(32, activation="softplus")(z)
reconstruction = layers.Dense(64, activation="sigmoid")(g)
vae = keras.Model([pixels, noise], reconstruction)


def reconstruction_loss(x, p):
    white = x * ops.log(1e-10 + p)
    black = (1 - x) * ops.log(1e-10 + 1 - p)  # at fault
    return -ops.sum(white + black, axis=1)


vae.compile(keras.optimizers.Adam(1e-3, clipnorm=1.0), loss=reconstruction_loss)
vae.fit([x, epsilon], x, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss:", vae.evaluate([x[:160], epsilon[:160]], x[:160], verbose=0))
