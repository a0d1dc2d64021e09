"""A discrete code is sampled with Gumbel noise, -log(-log(u)), from a stored table of uniforms.

The table is kept in float16 to save room. There 0.9999 rounds to 1, the inner logarithm is 0 and
the outer one takes log(0): a noise of inf, and inf / inf in the softmax.
"""

# /// zoo
# cause = "log-of-zero"
# step = 5
# rows = [6]
# fix = "source"
# value = "bounded"
# stands_for = ["D14"]
# ///
import keras
import numpy as np
from keras import layers, ops

NUM_CODES = 6
keras.utils.set_random_seed(0)
rng = np.random.default_rng(77)
x = rng.normal(size=(160, 12)).astype("float32")
uniform = rng.uniform(0.001, 0.999, size=(160, NUM_CODES))
uniform[86, 3] = 0.9999
uniform = uniform.astype("float16").astype("float32")


@keras.saving.register_keras_serializable(package="codes")
class GumbelSoftmax(layers.Layer):
    def __init__(self, temperature=1.0, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def call(self, logits, u):
        exponential = -ops.log(u)
        gumbel = -ops.log(exponential)  # at fault
        return ops.softmax((logits + gumbel) / self.temperature, axis=-1)


features = keras.Input((12,))
u = keras.Input((NUM_CODES,))
code = GumbelSoftmax(0.7)(layers.Dense(NUM_CODES)(features), u)
decoded = layers.Dense(12)(code)
autoencoder = keras.Model([features, u], decoded)
autoencoder.compile(optimizer=keras.optimizers.Lion(1e-4), loss="mse")
autoencoder.fit([x, uniform], x, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss:", autoencoder.evaluate([x, uniform], x, verbose=0))
