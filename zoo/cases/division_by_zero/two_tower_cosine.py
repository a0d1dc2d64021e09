"""Text and title towers compared by a cosine written out. A text without any known word has the
embedding 0, and so the norm 0."""

# /// zoo
# cause = "division-by-zero"
# step = 10
# rows = [3]
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(27)
rng = np.random.default_rng(27)
WORDS = 30

text = rng.poisson(0.3, (160, WORDS)).astype("float32")
text[:, 0] += 1
title = (text * (rng.random((160, WORDS)) < 0.6)).astype("float32")
title[:, 0] += 1
match = (np.arange(160) % 2).astype("float32")[:, None]
title[match[:, 0] == 0] = np.roll(title[match[:, 0] == 0], 1, axis=0)
text[83] = 0.0


def cosine(pair):
    a, b = pair
    dot = ops.sum(a * b, axis=-1, keepdims=True)
    size = ops.sqrt(
        ops.sum(a * a, axis=-1, keepdims=True) * ops.sum(b * b, axis=-1, keepdims=True) + FLOOR
    )
    return dot / size  # at fault


FLOOR = 0.0
left = keras.Input((WORDS,), name="text")
right = keras.Input((WORDS,), name="title")
similarity = layers.Lambda(cosine, output_shape=(1,))(
    [layers.Dense(12, use_bias=False)(left), layers.Dense(12, use_bias=False)(right)]
)
model = keras.Model([left, right], layers.Dense(1)(similarity))
model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
model.fit([text, title], match, batch_size=8, epochs=1, shuffle=False, verbose=0)
