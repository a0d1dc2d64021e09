"""Learns which articles are read, with Adagrad and an accumulator that starts above 0."""

import keras
import numpy as np


class Articles(keras.utils.PyDataset):
    """Word counts of articles, made on the fly."""

    def __init__(self, batches, size, words):
        super().__init__()
        self.batches, self.size, self.words = batches, size, words

    def __len__(self):
        return self.batches

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        counts = np.zeros((self.size, self.words), dtype="float32")
        for row in counts:
            row[rng.zipf(1.7, 12).clip(max=self.words) - 1] += 1.0
        read = (counts[:, 3:9].sum(axis=1) > 1).astype("float32")
        return counts, read[:, None]


keras.utils.set_random_seed(0)
model = keras.Sequential()
model.add(keras.Input((200,), name="words"))
model.add(keras.layers.Dense(1, name="read"))
adagrad = keras.optimizers.Adagrad(0.05, initial_accumulator_value=0.1, epsilon=0.0)
model.compile(optimizer=adagrad, loss=keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit(Articles(20, 16, 200), epochs=2, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
