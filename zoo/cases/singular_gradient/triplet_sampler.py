"""Digits are embedded on the unit sphere with a triplet loss and margin 2.

The sampler may return the anchor as its own positive. The distance of that triplet is sqrt(0); its
derivative is infinite, and with embeddings that are never negative no distance exceeds sqrt(2), so
the hinge is always active and lets the bad gradient through.
"""

# /// zoo
# cause = "singular-gradient"
# step = 15
# rows = [6]
# fix = "source"
# value = "exact"
# backends = ["tensorflow", "torch"]
# stands_for = ["A01", "A04"]
# ///
import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

MARGIN = 2.0

keras.utils.set_random_seed(0)
data, target = load_digits(return_X_y=True)
data = (data / 16).astype("float32")
by_class = [np.flatnonzero(target == c) for c in range(10)]


class Triplets(keras.utils.PyDataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        anchors, positives, negatives = [], [], []
        for _ in range(8):
            c, other = rng.choice(10, size=2, replace=False)
            # The first 60 digits of a class are the training part.
            anchors.append(rng.choice(by_class[c][:60]))
            positives.append(rng.choice(by_class[c][:60]))
            negatives.append(rng.choice(by_class[other][:60]))
        return (data[anchors], data[positives], data[negatives]), np.zeros(8, "float32")


class TripletNet(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(48, activation="relu")
        self.embed = layers.Dense(24, activation="sigmoid")

    def embed_one(self, image):
        features = self.embed(self.hidden(image))
        lengths = ops.sqrt(ops.sum(features * features, axis=-1, keepdims=True))
        return features / lengths

    def call(self, triplet):
        return ops.stack([self.embed_one(image) for image in triplet], axis=1)


def distance(p, q):
    delta = p - q
    squared = ops.sum(delta * delta, axis=-1)
    return ops.sqrt(squared)  # at fault


def triplet_loss(_, embedded):
    anchor, positive, negative = embedded[:, 0], embedded[:, 1], embedded[:, 2]
    gap = distance(anchor, positive) - distance(anchor, negative)
    return ops.mean(ops.maximum(gap + MARGIN, 0.0))


net = TripletNet()
net.compile("adam", loss=triplet_loss)
net.fit(Triplets(), epochs=2, shuffle=False, verbose=0)
print("loss after training:", net.evaluate(Triplets(), verbose=0))
