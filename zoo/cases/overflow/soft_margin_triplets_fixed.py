"""The same triplets, the soft margin by the softplus of the library."""

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
    return K.softplus(to_positive - to_negative)


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
