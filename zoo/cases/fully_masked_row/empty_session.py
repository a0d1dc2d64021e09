"""Attention pooling over the clicks of a shopping session, padded to a fixed length. One session
has no click: every score is minus infinity and the softmax is 0 / 0.
"""

# /// zoo
# cause = "fully-masked-row"
# step = 8
# rows = [5]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(40)
rng = np.random.default_rng(40)
SESSIONS, CLICKS, ITEMS, BATCH = 144, 6, 30, 12

lengths = rng.integers(1, CLICKS + 1, SESSIONS)
lengths[8 * BATCH + 5] = 0
clicks = rng.integers(1, ITEMS, (SESSIONS, CLICKS))
clicks = np.where(np.arange(CLICKS)[None, :] < lengths[:, None], clicks, 0)
bought = (clicks > 20).any(axis=1).astype("float32")


class ClickPooling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.score = layers.Dense(1)

    def build(self, shape):
        self.score.build(shape)

    def call(self, vectors, ids):
        score = self.score(vectors)[..., 0]
        score = ops.where(ids == 0, -float("inf"), score)
        weight = ops.softmax(score, axis=-1)  # at fault
        return ops.einsum("bt,btd->bd", weight, vectors)


ids = keras.Input((CLICKS,), dtype="int32")
vectors = layers.Embedding(ITEMS, 8)(ids)
pooled = ClickPooling()(vectors, ids)
outputs = layers.Dense(1)(pooled)
model = keras.Model(ids, outputs)
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
)
model.fit(clicks, bought[:, None], batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
