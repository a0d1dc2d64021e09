"""The vocabulary has 20 words, and one sentence holds word number 20."""

import keras
import numpy as np

keras.utils.set_random_seed(13)
sentences = np.random.default_rng(13).integers(0, 20, (40, 6))
sentences[26, 4] = 20
model = keras.Sequential(
    [
        keras.Input((6,), dtype="int32", name="words"),
        keras.layers.Embedding(20, 4),
        keras.layers.LSTM(5),
        keras.layers.Dense(1),
    ]
)
model.compile("adam", loss="mse")
model.fit(sentences, np.zeros(40), batch_size=10, shuffle=False, verbose=0)
