"""Learns an embedding of wines from triplets, with the soft margin log(1 + exp(d_ap - d_an)).

Squared distances of embeddings that nobody normalised reach hundreds. Where the positive is that
much farther than the negative, `exp` of the difference is infinite.
"""
# /// zoo
# cause = "overflow"
# step = 13
# rows = [2]
# fix = "source"
# value = "exact"
# stands_for = ["D10"]
# ///

import keras
import numpy as np
from keras import ops as K
from sklearn.datasets import load_wine

keras.utils.set_random_seed(0)
EMBEDDING = 8


def soft_margin(_, embeddings):
    anchor, positive, negative = K.split(embeddings, 3, axis=1)
    to_positive = K.sum(K.square(anchor - positive), axis=-1)
    to_negative = K.sum(K.square(anchor - negative), axis=-1)
    return K.log1p(K.exp(to_positive - to_negative))  # at fault


wine = load_wine()
rng = np.random.default_rng(5)
features = (wine.data - wine.data.mean(0)) / wine.data.std(0)
features[-1, 4] = 60.0  # magnesium of the last bottle, measured after a spill

members = [np.flatnonzero(wine.target[:-1] == kind) for kind in range(3)]
kinds = rng.integers(3, size=200)
anchors = np.array([rng.choice(members[k]) for k in kinds])
positives = np.array([rng.choice(members[k]) for k in kinds])
negatives = np.array([rng.choice(members[(k + 1) % 3]) for k in kinds])
positives[132] = 177  # the last bottle
triplets = np.stack([features[anchors], features[positives], features[negatives]], axis=1)

bottles = keras.Input((3, 13))
embed = keras.layers.Dense(EMBEDDING)
out = keras.layers.Flatten()(keras.layers.TimeDistributed(embed)(bottles))
network = keras.Model(bottles, out)
network.compile(optimizer=keras.optimizers.Adam(1e-3), loss=soft_margin)
history = network.fit(
    triplets.astype("float32"), np.zeros(200), batch_size=10, epochs=1, shuffle=False, verbose=0
)
print(history.history)
