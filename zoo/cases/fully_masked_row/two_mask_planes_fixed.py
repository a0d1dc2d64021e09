"""The same attention; the two masks are joined as booleans and the fill is finite."""

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
        is_same = K.equal(speaker[:, :, None], speaker[:, None, :])
        is_someone = K.not_equal(speaker, 0)[:, None, :]
        scores = K.matmul(self.query(words), K.transpose(words, (0, 2, 1)))
        scores = K.where(K.logical_and(is_same, is_someone), scores / WIDTH**0.5, LOWEST)
        return K.matmul(K.softmax(scores), self.value(words))


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
