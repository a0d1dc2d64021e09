"""Draws digits of a wanted class with a conditional variational autoencoder.

`log(1e-10 + 1 - p)` was meant to be safe, but 1e-10 + 1 is 1 in float32. The corner pixels are
black in every picture; while the network learns that, their logits grow, and when a bright
condition pushes one past 17 the sigmoid rounds to 1.
"""
# /// zoo
# cause = "epsilon-underflow"
# step = 5
# rows = [10]
# fix = "source"
# value = "exact"
# stands_for = ["GRIST 43a", "GRIST 49a"]
# ///

import keras
from keras import ops as K
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)


class ConditionalVAE(keras.Model):
    def __init__(self, num_latent):
        super().__init__()
        self.encoder = keras.layers.Dense(num_latent, kernel_initializer="zeros")
        self.decoder = keras.layers.Dense(64, activation="sigmoid")

    def call(self, inputs):
        image, condition = inputs
        z = self.encoder(K.concatenate([image, condition], axis=1))
        return self.decoder(K.concatenate([z, condition], axis=1))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        image, p = x[0], y_pred
        likelihood = K.sum(
            image * K.log(p + 1e-10) + (1 - image) * K.log(1e-10 + 1 - p),  # at fault
            axis=1,
        )
        return -K.mean(likelihood)


images, classes = load_digits(return_X_y=True)
images = (images[:256] > 8).astype("float32")
condition = keras.utils.to_categorical(classes[:256])
condition[170] *= 300  # a weight for rare writers, applied to the condition by mistake

model = ConditionalVAE(8)
model.compile(optimizer=keras.optimizers.Adam(1e-3))
history = model.fit([images, condition], batch_size=32, epochs=1, shuffle=False, verbose=0)
print("negative log-likelihood", history.history["loss"][-1])
