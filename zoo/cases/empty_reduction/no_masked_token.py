"""Masked language modelling: the loss is the mean over the tokens that were hidden. With short
batches and a low masking rate, one batch has none.
"""

# /// zoo
# cause = "empty-reduction"
# step = 4
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(22)
rng = np.random.default_rng(22)
VOCAB, LENGTH, BATCH, STEPS = 20, 10, 4, 18
MASK_TOKEN = 0

text = rng.integers(1, VOCAB, (BATCH * STEPS, LENGTH))
hidden = rng.uniform(size=text.shape) < 0.15
hidden[:, 2] |= rng.uniform(size=len(text)) < 0.5
hidden[::BATCH, 5] = True
hidden[4 * BATCH : 5 * BATCH] = False
corrupted = np.where(hidden, MASK_TOKEN, text)
labels = np.stack([text, hidden], axis=-1).astype("int32")


class MaskedTokenLoss(keras.losses.Loss):
    def __init__(self):
        super().__init__(reduction=None, name="mlm")

    def call(self, y_true, logits):
        token, hidden = y_true[..., 0], ops.cast(y_true[..., 1], "float32")
        nll = keras.losses.sparse_categorical_crossentropy(token, logits, from_logits=True)
        total = ops.sum(nll * hidden)
        return total / ops.sum(hidden)  # at fault


model = keras.Sequential(
    [
        keras.Input((LENGTH,), dtype="int32"),
        layers.Embedding(VOCAB, 12),
        layers.Conv1D(24, 3, padding="same", activation="relu"),
        layers.Dense(VOCAB),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=MaskedTokenLoss())
model.fit(corrupted, labels, batch_size=BATCH, epochs=1, shuffle=False, verbose=2)
