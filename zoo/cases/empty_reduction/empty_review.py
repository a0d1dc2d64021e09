"""Reviews as the mean of their word vectors, without the padding. One review is empty."""

# /// zoo
# cause = "empty-reduction"
# step = 16
# rows = [1]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(41)
rng = np.random.default_rng(41)

words = rng.integers(2, 60, (160, 12)).astype("int32")
length = rng.integers(3, 13, 160)
words[np.arange(12)[None, :] >= length[:, None]] = 0
score = ((words == 7) | (words == 11)).any(axis=1).astype("float32")[:, None]
words[129] = 0  # "<br/>" and nothing else

model = keras.Sequential(
    [
        keras.Input((12,), dtype="int32"),
        layers.Embedding(60, 8, mask_zero=True),
        layers.GlobalAveragePooling1D(),  # at fault
        layers.Dense(8, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(words, score, batch_size=8, epochs=2, shuffle=False, verbose=0)
