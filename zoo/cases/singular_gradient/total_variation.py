"""Microscope images are denoised; a total-variation term asks for smooth results.

An empty slide gives an image of zeros and the network, which has no biases, returns zeros. All
differences are 0, and sqrt(dx^2 + dy^2) has an infinite derivative at 0.
"""

# /// zoo
# cause = "singular-gradient"
# step = 3
# rows = [2]
# fix = "source"
# value = "exact"
# stands_for = ["A08", "A09"]
# ///
import keras
import numpy as np
from keras import layers
from keras import ops as K

keras.utils.set_random_seed(0)
rng = np.random.default_rng(21)
yy, xx = np.mgrid[:12, :12]
centre = rng.uniform(3, 9, size=(40, 2, 1, 1))
cells = np.exp(-((yy - centre[:, 0]) ** 2 + (xx - centre[:, 1]) ** 2) / 6)[..., None]
photos = cells + 0.1 * rng.normal(size=cells.shape)
cells[14], photos[14] = 0.0, 0.0
cells, photos = cells.astype("float32"), photos.astype("float32")


class Denoiser(keras.Model):
    def __init__(self, smoothness):
        super().__init__()
        self.smoothness = smoothness
        self.first = layers.Conv2D(6, 3, padding="same", activation="relu", use_bias=False)
        self.second = layers.Conv2D(1, 3, padding="same", use_bias=False)

    def call(self, photo):
        return self.second(self.first(photo))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        data_term = K.mean(K.square(y - y_pred))
        dx = y_pred[:, :-1, 1:] - y_pred[:, :-1, :-1]
        dy = y_pred[:, 1:, :-1] - y_pred[:, :-1, :-1]
        variation = K.sqrt(  # at fault
            K.square(dx) + K.square(dy)
        )
        return data_term + self.smoothness * K.mean(variation)


model = Denoiser(smoothness=0.05)
model.compile(optimizer=keras.optimizers.Adam(1e-3))
result = model.fit(photos, cells, batch_size=4, epochs=2, shuffle=False, verbose=0)
print("loss:", result.history["loss"])
