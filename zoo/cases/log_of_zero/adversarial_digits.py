"""The discriminator of a small GAN is trained; one of its three logarithms has no epsilon.

A real image of another scale is called a fake with certainty: the sigmoid gives exactly 0 for it
and log(D(real)) is -inf. The author had put 1e-8 into the other logarithm only.
"""

# /// zoo
# cause = "log-of-zero"
# step = 11
# rows = [5]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 31"]
# ///
import keras
import numpy as np
from keras import layers
from keras import ops as K
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
real = (load_digits().data[:320] / 16).astype("float32")
real[181] *= 255.0
latent = np.random.default_rng(0).normal(size=(320, 16)).astype("float32")


class DigitGAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential(
            [layers.Dense(32, activation="relu"), layers.Dense(64, activation="sigmoid")]
        )
        self.generator.trainable = False  # its turn comes in another phase
        # Suspicious of bright images at the start.
        against = keras.initializers.RandomUniform(-0.3, 0.0, seed=6)
        self.features = layers.Dense(24, activation="softplus")
        self.verdict = layers.Dense(1, activation="sigmoid", kernel_initializer=against)

    def judge(self, image):
        return self.verdict(self.features(image))

    def call(self, inputs):
        image, z = inputs
        return self.judge(image), self.judge(self.generator(z))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        d_real, d_fake = y_pred
        gain_real = K.log(d_real)  # at fault
        gain_fake = K.log(1.0 - d_fake + 1e-8)
        return -K.mean(gain_real) - K.mean(gain_fake)


gan = DigitGAN()
gan.compile(optimizer=keras.optimizers.Adam(2e-4, beta_1=0.5))
gan.fit([real, latent], batch_size=16, epochs=2, shuffle=False, verbose=0)
print("mean verdict on real images:", float(np.mean(gan.predict([real, latent], verbose=0)[0])))
