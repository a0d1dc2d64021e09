"""The ratings of `ordinal_ratings.py` with the logarithms of the probabilities."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(45)
films = rng.normal(size=(160, 3))
rating = rng.integers(4, size=160)
films[123], rating[123] = [40.0, 0.0, 0.0], 1
films = films.astype("float32")


class CumulativeLogit(keras.layers.Layer):
    """Log-probabilities of the four ratings from one score and three thresholds."""

    def build(self, input_shape):
        self.thresholds = self.add_weight(
            shape=(3,), initializer=keras.initializers.Constant([-1.0, 0.0, 1.0])
        )

    def call(self, score):
        logit = self.thresholds.value - score
        low, high = logit[:, :-1], logit[:, 1:]
        # sigmoid(high) - sigmoid(low) = sigmoid(high) * sigmoid(-low) * (1 - exp(low - high))
        between = jax.nn.log_sigmoid(high) + jax.nn.log_sigmoid(-low)
        between += jnp.log(-jnp.expm1(low - high))
        first, last = jax.nn.log_sigmoid(logit[:, :1]), jax.nn.log_sigmoid(-logit[:, -1:])
        return jnp.concatenate([first, between, last], axis=1)


def ordinal_loss(rating, log_probabilities):
    observed = jax.nn.one_hot(rating.reshape(-1).astype(int), 4)
    return -jnp.sum(observed * log_probabilities, axis=1)


start = keras.initializers.Constant([[-1.0], [0.0], [0.0]])
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(1, kernel_initializer=start), CumulativeLogit()]
)
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss=ordinal_loss)
model.fit(films, rating, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(films[:112], rating[:112], verbose=0))
