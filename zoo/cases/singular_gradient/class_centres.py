"""Digits are classified with a centre loss: an image shall lie near the centre of its class.

Centres start at 0 and a class gets its first gradient when its first image comes. That image is
blank and its embedding is 0 as well: the norm of the difference has no derivative there.
"""

# /// zoo
# cause = "singular-gradient"
# step = 6
# rows = [7]
# fix = "source"
# value = "exact"
# backends = ["jax", "tensorflow"]
# stands_for = ["A08", "A11"]
# ///
import keras
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
images, digit = load_digits(return_X_y=True)
images = (images[digit < 5][:160] / 16).astype("float32")
digit = digit[digit < 5][:160]
images[55], digit[55] = 0.0, 5  # class 5 means "nothing written"


class CentreLoss(layers.Layer):
    def __init__(self, num_classes, size, weight=0.01):
        super().__init__()
        self.weight = weight
        self.centres = self.add_weight(shape=(num_classes, size), initializer="zeros")

    def call(self, embedding, label):
        own = ops.take(self.centres, label, axis=0)
        away = ops.norm(embedding - own, axis=-1)  # at fault
        self.add_loss(self.weight * ops.mean(away))
        return embedding


picture = keras.Input((64,))
label = keras.Input((), dtype="int32")
embedding = layers.Dense(12, activation="tanh", use_bias=False)(picture)
logits = layers.Dense(6)(CentreLoss(6, 12)(embedding, label))
model = keras.Model([picture, label], logits)
model.compile(
    optimizer=keras.optimizers.SGD(0.2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit([images, digit], digit, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate([images, digit], digit, verbose=0))
