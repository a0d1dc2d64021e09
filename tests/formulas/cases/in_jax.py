"""Written with `jax.numpy` and `jax.nn`."""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm


def token_loss(x, mask):
    chance = jnp.sum(mask * jax.nn.softmax(x), axis=-1)
    return -jnp.log(chance)


def token_loss_exact(x, mask):
    return -jnp.sum(mask * jax.nn.log_softmax(x), axis=-1)


def expected(x, y):
    weights = {"left": jnp.exp(x), "right": jnp.exp(y)}
    total = sum(weights.values())
    return weights["left"] / total


def expected_exact(x, y):
    return jax.nn.sigmoid(x - y)


def length(x):
    return jnp.linalg.norm(x, axis=-1)


def length_exact(x):
    total = jnp.sum(jnp.square(x), axis=-1)
    at_zero = total == 0
    return jnp.where(at_zero, 0.0, jnp.sqrt(jnp.where(at_zero, 1.0, total)))


def growth(x):
    return (jnp.exp(x) - 1) / x


def growth_exact(x):
    at_zero = x == 0
    safe = jnp.where(at_zero, 1.0, x)
    return jnp.where(at_zero, 1.0, jnp.expm1(safe) / safe)


def nested(x):
    def gate(z):
        return 1.0 / (1.0 + jnp.exp(-z))

    return jnp.log(1.0 - gate(x))


def nested_exact(x):
    def gate(z):
        return 1.0 / (1.0 + jnp.exp(-z))

    return jax.nn.log_sigmoid(-x)


def columns(x):
    parts = [jnp.exp(x[:, i]) for i in range(3)]
    return jnp.log(sum(parts))


def columns_exact(x):
    return jax.nn.logsumexp(x[:, :3], axis=-1)


def entropy(x):
    p = jax.nn.softmax(x, axis=-1)
    return -(p * jnp.log(p)).sum(axis=-1)


def entropy_exact(x):
    p = jax.nn.softmax(x, axis=-1)
    return -(p * jax.nn.log_softmax(x, axis=-1)).sum(axis=-1)


def gaussian_mixture(x, y):
    density = jnp.exp(-0.5 * jnp.square(x - y)).mean(axis=1)
    return -jnp.log(density)


def gaussian_mixture_exact(x, y):
    return -jax.nn.logsumexp(-0.5 * jnp.square(x - y) - 1.79175947, axis=1)


def joint_density(x, y):
    density = norm.pdf(x, y, 2.0)
    return jnp.log(jnp.prod(density, axis=-1))


def joint_density_exact(x, y):
    return jnp.sum(-0.5 * jnp.square((x - y) / 2.0) - 1.61208571, axis=-1)


def shifted(x):
    return jnp.log(jnp.roll(jax.nn.softmax(x), 1, axis=0))


def shifted_exact(x):
    return jnp.roll(jax.nn.log_softmax(x), 1, axis=0)
