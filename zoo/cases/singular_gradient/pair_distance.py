"""A siamese network is to tell whether two handwritten digits show the same number.

The pairs are drawn with replacement, so now and then an image is paired with itself. The two
embeddings are then equal, the distance is sqrt(0), and the derivative of sqrt at 0 is infinite.
"""

# /// zoo
# cause = "singular-gradient"
# step = 15
# rows = [7]
# fix = "source"
# value = "exact"
# backends = ["jax", "torch"]
# stands_for = ["A02", "P05"]
# ///
import keras
import numpy as np
from keras import layers
from keras import ops as K
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)
digits = load_digits()
images = (digits.data / 16.0).astype("float32")
labels = digits.target

rng = np.random.default_rng(0)
left, right, same = [], [], []
for _ in range(256):
    i = rng.integers(len(images))
    if rng.random() < 0.5:
        j = rng.choice(np.flatnonzero(labels == labels[i]))
    else:
        j = rng.choice(np.flatnonzero(labels != labels[i]))
    left.append(i)
    right.append(j)
    same.append(labels[i] == labels[j])
same = np.array(same, "float32")

encoder = keras.Sequential(
    [keras.Input((64,)), layers.Dense(32, activation="tanh"), layers.Dense(8)], name="encoder"
)


def euclidean(pair):
    u, v = pair
    return K.sqrt(K.sum(K.square(u - v), axis=1, keepdims=True))  # at fault


a = keras.Input((64,), name="left")
b = keras.Input((64,), name="right")
distance = layers.Lambda(euclidean, output_shape=(1,))([encoder(a), encoder(b)])
siamese = keras.Model([a, b], distance)


def contrastive(y, d):
    y = K.reshape(y, (-1, 1))
    return K.mean(y * K.square(d) + (1 - y) * K.square(K.maximum(1.0 - d, 0.0)))


siamese.compile(optimizer=keras.optimizers.Adam(1e-3), loss=contrastive)
history = siamese.fit(
    [images[left], images[right]], same, batch_size=16, epochs=2, shuffle=False, verbose=0
)
print("loss by epoch:", history.history["loss"])
