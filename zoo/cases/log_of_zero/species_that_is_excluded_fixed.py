"""The same training with `log_softmax`."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax


class Birds(eqx.Module):
    layers: list

    def __init__(self, key):
        one, two = jax.random.split(key)
        self.layers = [
            eqx.nn.Linear(6, 16, key=one),
            jax.nn.relu,
            eqx.nn.Linear(16, 4, key=two),
            jax.nn.log_softmax,
        ]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def cross_entropy(species, log_probability):
    picked = jnp.take_along_axis(log_probability, species[:, None], axis=1)
    return -jnp.mean(picked)


@eqx.filter_value_and_grad
def compute_loss(model, x, species):
    return cross_entropy(species, jax.vmap(model)(x))


class Loop:
    def __init__(self, model, optim):
        self.model, self.optim = model, optim
        self.opt_state = optim.init(eqx.filter(model, eqx.is_inexact_array))

    def run(self, x, species):
        @eqx.filter_jit
        def step(model, opt_state, x, species):
            loss, grads = compute_loss(model, x, species)
            updates, opt_state = self.optim.update(grads, opt_state)
            return eqx.apply_updates(model, updates), opt_state, loss

        for batch in np.arange(len(x)).reshape(-1, 8):
            self.model, self.opt_state, loss = step(
                self.model, self.opt_state, x[batch], species[batch]
            )
            print(f"{loss:.4f}")


model = Birds(jax.random.key(2))
rng = np.random.default_rng(2)
x = rng.normal(size=(80, 6)).astype("float32")
x[6 * 8 + 5] *= 300.0
species = rng.integers(0, 4, 80)
species[6 * 8 + 5] = int(jnp.argmin(model(x[6 * 8 + 5])))
Loop(model, optax.sgd(1e-3)).run(x, species)
