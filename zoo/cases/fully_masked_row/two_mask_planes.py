"""Self-attention over packed dialogues, with one mask for padding and one for the speaker.

Each mask is a plane that holds the lowest float32 where attention is forbidden, and the planes
are added. Twice the lowest float32 is -inf. In a slot that holds no dialogue every place is
masked by both planes, and the softmax of such a row is NaN.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 5
# rows = [3]
# fix = "source"
# value = "bounded"
# stands_for = ["F03", "F01"]
# ///

import keras
import numpy as np
from keras import ops as K

keras.utils.set_random_seed(0)
LOWEST = float(np.finfo("float32").min)
WORDS, WIDTH = 7, 8


class DialogueAttention(keras.layers.Layer):
    def build(self, shapes):
        self.query = keras.layers.Dense(WIDTH)
        self.value = keras.layers.Dense(WIDTH)
        self.query.build(shapes[0])
        self.value.build(shapes[0])

    def call(self, inputs):
        words, speaker = inputs
        padding = LOWEST * K.cast(K.equal(speaker, 0), "float32")[:, None, :]
        is_same = K.equal(speaker[:, :, None], speaker[:, None, :])
        is_someone = K.not_equal(speaker, 0)[:, None, :]
        others = LOWEST * K.cast(K.logical_not(K.logical_and(is_same, is_someone)), "float32")
        scores = K.matmul(self.query(words), K.transpose(words, (0, 2, 1)))
        scores = scores / WIDTH**0.5 + (padding + others)
        return K.matmul(K.softmax(scores), self.value(words))  # at fault


rng = np.random.default_rng(1)
words = rng.normal(size=(80, WORDS, WIDTH)).astype("float32")
speaker = rng.integers(1, 3, size=(80, WORDS))
speaker[43] = 0
mood = words[:, :, 0].mean(axis=1, keepdims=True)

words_in = keras.Input((WORDS, WIDTH))
speaker_in = keras.Input((WORDS,), dtype="int32")
attended = DialogueAttention()([words_in, speaker_in])
mood_out = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(attended))
model = keras.Model([words_in, speaker_in], mood_out)
model.compile(optimizer="adam", loss="mse")
history = model.fit([words, speaker], mood, batch_size=8, epochs=1, shuffle=False, verbose=0)
print("loss", history.history["loss"][0])
