"""BERT-like pretraining: cross entropy averaged over the tokens that were masked out."""

# /// zoo
# cause = "empty-reduction"
# step = 16
# fix = "source"
# value = "undefined"
# ///

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(40)
rng = np.random.default_rng(40)
VOCAB, LENGTH, BATCH, MASK = 20, 8, 6, 0
tokens = np.cumsum(rng.integers(0, 3, (180, LENGTH)), axis=1) % (VOCAB - 1) + 1


class MaskedTokens(keras.utils.PyDataset):
    def __init__(self, tokens, rate):
        super().__init__()
        self.tokens = tokens
        self.rate = rate

    def __len__(self):
        return len(self.tokens) // BATCH

    def __getitem__(self, i):
        part = self.tokens[i * BATCH : (i + 1) * BATCH]
        chosen = np.random.default_rng(700 + i).random(part.shape) < self.rate
        return np.where(chosen, MASK, part), part, chosen.astype("float32")


class Pretrainer(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(VOCAB, 16)
        self.mix = layers.Conv1D(16, 3, padding="same", activation="gelu")
        self.head = layers.Dense(VOCAB)

    def call(self, ids):
        return self.head(self.mix(self.embed(ids)))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        nll = ops.sparse_categorical_crossentropy(y, y_pred, from_logits=True)
        kept = ops.sum(nll * sample_weight)
        return kept / ops.sum(sample_weight)  # at fault


model = Pretrainer()
model.compile(optimizer="adam")
model.fit(MaskedTokens(tokens, 0.06), epochs=1, shuffle=False, verbose=0)
