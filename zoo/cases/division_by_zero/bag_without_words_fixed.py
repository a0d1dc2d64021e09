"""The same training; a vector of 0 stays 0."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from flax.training.train_state import TrainState


class TextTower(nn.Module):
    words: int
    width: int

    def setup(self):
        self.table = self.param("table", nn.initializers.normal(0.5), (self.words, self.width))

    def __call__(self, bags):
        v = bags @ self.table
        return v * jax.lax.rsqrt(jnp.maximum((v * v).sum(1, keepdims=True), 1e-12))


class Trainer:
    def __init__(self, key):
        model = TextTower(30, 8)
        params = model.init(key, jnp.ones((1, 30)))
        self.state = TrainState.create(
            apply_fn=model.apply, params=params, tx=optax.adafactor(1e-2)
        )
        self.step = self.make_step()

    @staticmethod
    def make_step():
        @jax.jit
        def step(state, bags, other):
            def contrast(params):
                logits = state.apply_fn(params, bags) @ state.apply_fn(params, other).T / 0.1
                labels = jnp.arange(len(bags))
                return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

            loss, grads = jax.value_and_grad(contrast)(state.params)
            return state.apply_gradients(grads=grads), loss

        return step

    def fit(self, bags, other, size):
        for start in range(0, len(bags), size):
            rows = slice(start, start + size)
            self.state, loss = self.step(self.state, bags[rows], other[rows])
            print(start // size, loss)


key = jax.random.key(7)
bags = jax.random.bernoulli(key, 0.3, (80, 30)).astype(jnp.float32).at[:, 0].set(1.0)
bags = bags.at[5 * 8 + 1].set(0.0)
other = jax.random.bernoulli(jax.random.key(8), 0.3, (80, 30)).astype(jnp.float32)
Trainer(key).fit(bags, other.at[:, 0].set(1.0), 8)
