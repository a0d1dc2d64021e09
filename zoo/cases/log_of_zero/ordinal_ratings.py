"""Film ratings from 1 to 4 are an ordinal outcome: differences of cumulative sigmoids.

For a film that was watched a million times both cumulative probabilities are 1; their difference
rounds to 0 and so does the probability of the rating.
"""

# /// zoo
# cause = "log-of-zero"
# step = 7
# rows = [11]
# fix = "source"
# value = "exact"
# backends = ["jax"]
# stands_for = ["GRIST 9a", "GRIST 2b"]
# ///
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
    """Probabilities of the four ratings from one score and three thresholds."""

    def build(self, input_shape):
        self.thresholds = self.add_weight(
            shape=(3,), initializer=keras.initializers.Constant([-1.0, 0.0, 1.0])
        )

    def call(self, score):
        below = jax.nn.sigmoid(self.thresholds.value - score)
        below = jnp.pad(below, ((0, 0), (1, 0)))
        below = jnp.pad(below, ((0, 0), (0, 1)), constant_values=1.0)
        return jnp.diff(below, axis=1)


def ordinal_loss(rating, probabilities):
    observed = jax.nn.one_hot(rating.reshape(-1).astype(int), 4)
    return -jnp.log(jnp.sum(observed * probabilities, axis=1))  # at fault


start = keras.initializers.Constant([[-1.0], [0.0], [0.0]])
model = keras.Sequential(
    [keras.Input((3,)), keras.layers.Dense(1, kernel_initializer=start), CumulativeLogit()]
)
model.compile(optimizer=keras.optimizers.SGD(1e-3), loss=ordinal_loss)
model.fit(films, rating, batch_size=16, epochs=2, shuffle=False, verbose=0)
print("loss:", model.evaluate(films[:112], rating[:112], verbose=0))
