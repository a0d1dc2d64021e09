"""The model of `soft_label_divergence.py`; a share of 0 is replaced before the logarithm."""

import keras
import numpy as np
from keras import ops as K

keras.utils.set_random_seed(0)
rng = np.random.default_rng(91)
votes = rng.integers(1, 9, size=(112, 4))
votes[64] = [9, 3, 0, 1]
votes[67] = [0, 4, 4, 2]
shares = (votes / votes.sum(axis=1, keepdims=True)).astype("float32")
audio = (shares @ rng.normal(size=(4, 10)) + 0.1 * rng.normal(size=(112, 10))).astype("float32")


def kl_divergence(target, predicted):
    ratio = K.where(target > 0, target, 1.0) / predicted
    return K.sum(target * K.log(ratio), axis=-1)


def batches():
    while True:
        for i in range(0, len(audio), 8):
            yield audio[i : i + 8], shares[i : i + 8]


model = keras.Sequential()
model.add(keras.Input((10,)))
model.add(keras.layers.Dense(16, activation="swish"))
model.add(keras.layers.Dense(4, activation="softmax"))
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=kl_divergence)
model.fit(batches(), steps_per_epoch=14, epochs=2, verbose=0)
print("divergence:", model.evaluate(audio[:64], shares[:64], verbose=0))
