"""A network in plain JAX with optax, whose loss takes the logarithm of a probability.

Sooner or later the network is sure and wrong: the probability of a label is exactly 0. The step is
guarded by `stayfinite.guarded`; Keras is not imported.

    python jax_optax.py            # stops at the bad step, with the report
    python jax_optax.py --fixed    # the loss as the report writes it
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import stayfinite


def predict(params, images):
    hidden = jax.nn.relu(images @ params["hidden"] + params["hidden_bias"])
    return hidden @ params["out"] + params["out_bias"]


def loss_of_probabilities(params, images, labels):
    logits = predict(params, images)
    probabilities = jax.nn.softmax(logits)
    return -jnp.mean(jnp.sum(labels * jnp.log(probabilities), axis=-1))


def loss_of_logits(params, images, labels):
    logits = predict(params, images)
    return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(logits), axis=-1))


def initial_params(rng, size):
    return {
        "hidden": jnp.asarray(rng.normal(size=(64, size)), "float32"),
        "hidden_bias": jnp.zeros(size),
        "out": jnp.asarray(rng.normal(size=(size, 10)), "float32"),
        "out_bias": jnp.zeros(10),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixed", action="store_true")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    loss_fn = loss_of_logits if args.fixed else loss_of_probabilities
    optimizer = optax.adam(1e-3)

    @jax.jit
    def train_step(params, opt_state, images, labels):
        loss, gradients = jax.value_and_grad(loss_fn)(params, images, labels)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    digits = load_digits()
    images = (digits.data / 8).astype("float32")
    labels = np.eye(10, dtype="float32")[digits.target]
    rng = np.random.default_rng(0)
    params = initial_params(rng, 32)
    opt_state = optimizer.init(params)
    step = stayfinite.guarded(train_step)
    for _ in range(args.steps):
        rows = rng.integers(0, len(images), 32)
        params, opt_state, loss = step(params, opt_state, images[rows], labels[rows])
    step.check()
    print(f"loss {float(loss):.3f} after {args.steps} steps")


if __name__ == "__main__":
    main()
