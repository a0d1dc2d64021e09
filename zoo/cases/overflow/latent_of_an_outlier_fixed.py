"""The same training; the log-variance is limited."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState


class VAE(nn.Module):
    latent: int = 2

    @nn.compact
    def __call__(self, x, key):
        h = nn.softplus(nn.Dense(16, name="hidden")(x))
        mean = nn.Dense(self.latent, name="mean")(h)
        logvar = nn.Dense(self.latent, name="logvar", kernel_init=nn.initializers.constant(0.1))(h)
        logvar = jnp.clip(logvar, -30.0, 20.0)
        z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
        return nn.Dense(x.shape[-1], name="decode")(nn.tanh(z)), mean, logvar


def elbo(params, apply, x, key):
    decoded, mean, logvar = apply({"params": params}, x, key)
    error = jnp.abs(decoded - x).sum(-1)
    divergence = -0.5 * jnp.sum(1 + logvar - mean**2 - jnp.exp(logvar), axis=-1)
    return jnp.mean(error + 0.1 * divergence)


@jax.jit
def train_step(state, x, key):
    key, noise = jax.random.split(key)
    loss, grads = jax.value_and_grad(elbo)(state.params, state.apply_fn, x, noise)
    return state.apply_gradients(grads=grads), loss, key


spectra = np.random.default_rng(1).normal(size=(96, 10)).astype("float32")
spectra[6 * 8 + 7] = -350.0
spectra[6 * 8 + 7, ::2] = 400.0
key = jax.random.key(0)
model = VAE()
params = model.init(key, spectra[:8], key)["params"]
state = TrainState.create(apply_fn=model.apply, params=params, tx=optax.rmsprop(1e-4))
for step in range(12):
    state, loss, key = train_step(state, spectra[8 * step : 8 * step + 8], key)
    print(step, float(loss))
