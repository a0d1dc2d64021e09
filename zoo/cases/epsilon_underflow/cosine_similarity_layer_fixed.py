"""The same similarity; a row of zeros is divided by 1, so that its gradient has room in float16."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
keras.config.set_dtype_policy("mixed_float16")


class Cosine(layers.Layer):
    """Cosine of the angle between two batches of vectors."""

    def call(self, question, answer):
        def unit(vector):
            length = ops.max(ops.abs(vector), axis=-1, keepdims=True)
            scaled = vector / ops.where(ops.equal(length, 0), 1.0, length)
            return scaled / ops.sqrt(ops.sum(scaled * scaled, axis=-1, keepdims=True) + 1e-3)

        return ops.sum(unit(question) * unit(answer), axis=-1, keepdims=True)


rng = np.random.default_rng(1)
questions = rng.normal(size=(80, 16)).astype("float32")
answers = questions + rng.normal(0, 0.5, size=(80, 16)).astype("float32")
match = rng.integers(0, 2, size=80)
answers[match == 0] = rng.normal(size=(int((match == 0).sum()), 16))
questions[50] = 0.0

question, answer = keras.Input((16,)), keras.Input((16,))
project = layers.Dense(8, use_bias=False)
similarity = Cosine()(project(question), project(answer))
decision = layers.Dense(1, dtype="float32")(similarity)
model = keras.Model([question, answer], decision)
model.compile(optimizer="adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
history = model.fit([questions, answers], match, batch_size=8, shuffle=False, verbose=0)
print("loss", history.history["loss"][-1])
