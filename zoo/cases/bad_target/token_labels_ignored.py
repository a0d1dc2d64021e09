"""Tags each word of a sentence; words that must not count have the label -100.

Another library ignores -100 by itself. Here the loss looks it up like any other label: on JAX an
index that far below 0 gives NaN. The first sentences have no such word.
"""
# /// zoo
# cause = "bad-target"
# step = 4
# rows = [0, 5]
# fix = "data"
# backends = ["jax"]
# stands_for = ["I08", "I09"]
# ///

import keras
import numpy as np
from keras import ops as K

PAD_LABEL = -100


def sentences(count=64, length=10):
    rng = np.random.default_rng(31)
    words = rng.integers(1, 50, (count, length))
    tags = words % 5
    for sentence in (32, 37, 51):
        tags[sentence, rng.integers(4, 8) :] = PAD_LABEL
    return words.astype("int32"), tags.astype("int32")


class TaggingLoss(keras.losses.Loss):
    """Negative log-likelihood of the right tag, averaged over the words."""

    def call(self, y_true, y_pred):
        scores = K.log(K.clip(y_pred, 1e-7, 1.0))
        tags = K.cast(y_true, "int32")
        picked = K.take_along_axis(scores, K.expand_dims(tags, -1), axis=-1)
        return -K.mean(K.squeeze(picked, -1), axis=-1)


keras.utils.set_random_seed(0)
words, tags = sentences()
model = keras.Sequential(
    [
        keras.Input((10,), dtype="int32"),
        keras.layers.Embedding(50, 8),
        keras.layers.Conv1D(12, 3, padding="same", activation="relu"),
        keras.layers.Dense(5, activation="softmax"),
    ]
)
model.compile("adam", TaggingLoss())
history = model.fit(words, tags, batch_size=8, epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
