"""Images are augmented by a random gamma after they have been brought to mean 0.

A power with a fractional exponent of a negative number is NaN. Most images are drawn with gamma 1,
which hides it.
"""

# /// zoo
# cause = "out-of-domain"
# step = 7
# rows = [2]
# fix = "source"
# value = "undefined"
# stands_for = ["C06"]
# ///
import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
digits = load_digits()
images = digits.images[:240, :, :, None] / 16.0
images = ((images - images.mean()) / images.std()).astype("float32")
labels = digits.target[:240]
gamma = np.ones(240, "float32")
gamma[86] = 0.8  # one in a few hundred images is augmented


class GammaAugmentation(layers.Layer):
    def call(self, image, gamma):
        return image ** ops.reshape(gamma, (-1, 1, 1, 1))  # at fault


image = keras.Input((8, 8, 1))
exponent = keras.Input(())
h = GammaAugmentation()(image, exponent)
h = layers.Conv2D(6, 3, activation="relu")(h)
h = layers.Flatten()(h)
classifier = keras.Model([image, exponent], layers.Dense(10)(h))
classifier.compile(
    optimizer=keras.optimizers.SGD(0.01, momentum=0.9),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
classifier.fit([images, gamma], labels, batch_size=12, epochs=2, shuffle=False, verbose=0)
print("loss:", classifier.evaluate([images, gamma], labels, verbose=0))
