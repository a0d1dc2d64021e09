"""LARS written as a subclass of SGD. A batch of blank pages has a gradient of exactly 0 for the
first kernel, and the trust ratio divides by its norm.
"""

# /// zoo
# cause = "bad-update"
# step = 8
# fix = "source"
# value = "undefined"
# ///
import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(141)
rng = np.random.default_rng(141)
PAGES, PIXELS, BATCH = 144, 20, 12
pages = rng.uniform(0, 1, (PAGES, PIXELS)).astype("float32")
handwritten = (pages[:, :5].sum(axis=1) > 2.5).astype("float32")[:, None]
pages[8 * BATCH : 9 * BATCH] = 0.0


class LARS(keras.optimizers.SGD):
    def __init__(self, learning_rate, trust=0.02, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.trust = trust

    def update_step(self, gradient, variable, learning_rate):
        if len(variable.shape) > 1:
            weight_norm = ops.sqrt(ops.sum(ops.square(variable)))
            gradient_norm = ops.sqrt(ops.sum(ops.square(gradient)))
            gradient = gradient * (self.trust * weight_norm / gradient_norm)  # at fault
        super().update_step(gradient, variable, learning_rate)


model = keras.Sequential(
    [keras.Input((PIXELS,)), layers.Dense(10, "tanh"), layers.Dense(1, "sigmoid")]
)
model.compile(optimizer=LARS(0.3), loss="binary_crossentropy")
model.fit(pages, handwritten, batch_size=BATCH, epochs=2, shuffle=False, verbose=2)
