"""Film ratings with the mean taken over those who rated. One film was rated by nobody, and
`jnp.mean(..., where=...)` of nothing is NaN.
"""

# /// zoo
# cause = "empty-reduction"
# step = 5
# rows = [8]
# fix = "source"
# value = "undefined"
# backends = ["jax"]
# ///
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(304)
rng = np.random.default_rng(304)
FILMS, CRITICS, BATCH = 150, 9, 15

genre = rng.normal(size=(FILMS, 5)).astype("float32")
stars = np.clip(3 + genre @ rng.normal(0, 0.5, (5, CRITICS)), 1, 5)
rated = rng.uniform(size=stars.shape) < 0.6
rated[:, 3] |= ~rated.any(axis=1)
rated[5 * BATCH + 8] = False
y = np.where(rated, stars, -1.0).astype("float32")


class RatedOnly(keras.losses.Loss):
    def call(self, y_true, y_pred):
        rated = y_true >= 0
        deviation = jnp.abs(y_true - y_pred)
        return jnp.mean(deviation, axis=-1, where=rated)  # at fault


inputs = keras.Input((5,))
x = layers.Dense(16, activation="silu")(inputs)
outputs = layers.Dense(CRITICS, bias_initializer=keras.initializers.Constant(3.0))(x)
model = keras.Model(inputs, outputs)
model.compile(optimizer=keras.optimizers.Lion(1e-3), loss=RatedOnly())
model.fit(genre, y, batch_size=BATCH, epochs=3, shuffle=False, verbose=2)
