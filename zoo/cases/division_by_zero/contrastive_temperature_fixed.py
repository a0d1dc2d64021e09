"""The alignment of `contrastive_temperature.py` learns the logarithm of the temperature."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(0)
rng = np.random.default_rng(88)
meaning = rng.normal(size=(160, 8))
images = (meaning @ rng.normal(size=(8, 20))).astype("float32")
captions = (meaning @ rng.normal(size=(8, 12))).astype("float32")


class Aligner(keras.Model):
    def __init__(self):
        super().__init__()
        self.image_tower = layers.Dense(8)
        self.caption_tower = layers.Dense(8)
        self.log_temperature = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(np.log(0.5)), name="log_temperature"
        )

    def call(self, inputs):
        image, caption = inputs
        u, v = self.image_tower(image), self.caption_tower(caption)
        u = u / (ops.norm(u, axis=-1, keepdims=True) + 1e-6)
        v = v / (ops.norm(v, axis=-1, keepdims=True) + 1e-6)
        similarity = ops.matmul(u, ops.transpose(v))
        return similarity / ops.exp(ops.clip(self.log_temperature, -4.0, 4.0))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        own = ops.arange(ops.shape(y_pred)[0])
        rows = keras.losses.sparse_categorical_crossentropy(own, y_pred, from_logits=True)
        return ops.mean(rows)


aligner = Aligner()
aligner.compile(optimizer=keras.optimizers.Adam(0.05))
history = aligner.fit([images, captions], batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss by epoch:", history.history["loss"])
