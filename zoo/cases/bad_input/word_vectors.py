"""Sorts reviews by the mean of their word vectors.

One review has no word of the vocabulary in it. The mean of no vectors is NaN.
"""
# /// zoo
# cause = "bad-input"
# step = 2
# rows = [4]
# fix = "data"
# stands_for = ["I15"]
# ///

import warnings

import keras
import numpy as np

GOOD = ["good", "great", "love", "fine", "happy"]
BAD = ["bad", "awful", "hate", "poor", "sad"]
FILL = ["the", "film", "plot", "was", "it", "actor"]


def reviews(count):
    rng = np.random.default_rng(4)
    texts, labels = [], []
    for number in range(count):
        label = int(rng.integers(0, 2))
        words = list(rng.choice(GOOD if label else BAD, 3)) + list(rng.choice(FILL, 4))
        texts.append(" ".join(words))
        labels.append(label)
        if number == 36:
            texts[-1] = "??? !!!"
    return texts, np.array(labels, dtype="float32")


def embed(text, vectors):
    known = [vectors[word] for word in text.split() if word in vectors]
    return np.mean(np.array(known, dtype="float32").reshape(-1, 10), axis=0)


keras.utils.set_random_seed(0)
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
vectors = {word: rng.normal(size=10) for word in GOOD + BAD + FILL}
texts, labels = reviews(80)
x = np.stack([embed(text, vectors) for text in texts])

model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(8, activation="tanh")])
model.add(keras.layers.Dropout(0.2))
model.add(keras.layers.Dense(1))
sgd = keras.optimizers.SGD(0.1, momentum=0.9)
model.compile(sgd, keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(x, labels, batch_size=16, epochs=3, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
