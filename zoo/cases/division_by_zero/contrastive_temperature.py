"""Images and captions are aligned with a contrastive loss whose temperature is learned.

The similarities are divided by the temperature. Sharper is better on this data, so it falls from
step to step until its constraint holds it at 0.
"""

# /// zoo
# cause = "division-by-zero"
# step = {jax = 18, tensorflow = 16, torch = 15}
# fix = "source"
# value = "bounded"
# stands_for = ["Z04", "GRIST 28a"]
# ///
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
        self.temperature = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(0.5),
            constraint=keras.constraints.NonNeg(),
            name="temperature",
        )

    def call(self, inputs):
        image, caption = inputs
        u, v = self.image_tower(image), self.caption_tower(caption)
        u = u / (ops.norm(u, axis=-1, keepdims=True) + 1e-6)
        v = v / (ops.norm(v, axis=-1, keepdims=True) + 1e-6)
        similarity = ops.matmul(u, ops.transpose(v))
        return similarity / self.temperature  # at fault

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        own = ops.arange(ops.shape(y_pred)[0])
        rows = keras.losses.sparse_categorical_crossentropy(own, y_pred, from_logits=True)
        return ops.mean(rows)


aligner = Aligner()
aligner.compile(optimizer=keras.optimizers.Adam(0.05))
history = aligner.fit([images, captions], batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss by epoch:", history.history["loss"])
