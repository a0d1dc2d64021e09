"""Pulls the features of wines towards the mean feature of their kind, taken in the batch.

The mean of a kind divides by how often it occurs. The file is sorted towards its end, and the
first batch without the third kind gives 0 / 0 for that mean.
"""
# /// zoo
# cause = "empty-reduction"
# step = 10
# fix = "source"
# value = "undefined"
# stands_for = ["E01"]
# ///

import keras
import numpy as np
from keras import layers
from keras import ops as K
from sklearn.datasets import load_wine

keras.utils.set_random_seed(0)


class PrototypeLoss(layers.Layer):
    """Adds the distance of each feature vector to its class mean, against that to the others."""

    def call(self, features, kinds):
        members = K.one_hot(K.cast(kinds, "int32"), 3)
        counts = K.sum(members, axis=0)
        sums = K.matmul(K.transpose(members), features)
        prototypes = sums / counts[:, None]  # at fault
        gaps = K.expand_dims(features, 1) - prototypes
        scores = -K.sum(K.square(gaps), axis=-1)
        errors = K.categorical_crossentropy(members, scores, from_logits=True)
        self.add_loss(K.mean(errors))
        return features


wine = load_wine()
order = np.random.default_rng(7).permutation(178)
order[120:] = np.sort(order[120:])  # the part that was entered by hand, kind after kind
x = ((wine.data - wine.data.mean(axis=0)) / wine.data.std(axis=0))[order].astype("float32")
kinds = wine.target[order].astype("float32")

chemistry, kind = keras.Input((13,)), keras.Input(())
features = layers.Dense(4)(layers.Dense(16, activation="tanh")(chemistry))
model = keras.Model([chemistry, kind], PrototypeLoss()(features, kind))
model.compile(optimizer=keras.optimizers.Adam(1e-3))
history = model.fit([x, kinds], batch_size=12, epochs=2, shuffle=False, verbose=0)
print("prototype loss", history.history["loss"][-1])
