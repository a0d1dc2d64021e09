"""Trainings on JAX without Keras, as the guides of optax, flax and equinox write them.

Each has a `step` and `run(step, bad)`, which makes `NUM_STEPS` steps and returns all arrays of the
state after each. The data of step `bad` makes it non-finite.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx
from flax.training.train_state import TrainState

NUM_STEPS = 6
BAD_STEP = 3
ROWS = 8


def batches():
    rng = np.random.default_rng(0)
    for _ in range(NUM_STEPS):
        x = rng.normal(size=(ROWS, 4)).astype("float32")
        yield x, (x[:, 0] > 0).astype("float32")


def arrays_of(tree):
    leaves = jax.tree.leaves(eqx.filter(tree, eqx.is_array))
    return [np.array(_numbers(leaf)) for leaf in leaves]


def _numbers(leaf):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


class Functions:
    """Parameters and the state of an optimizer as two arguments."""

    def __init__(self, tx=None, jit=jax.jit):
        self.tx = tx or optax.adam(1e-2)
        self.step = jit(self._step)

    def _step(self, params, opt_state, x, y):
        def loss_fn(params):
            hidden = jax.nn.relu(x @ params["in"])
            p = jax.nn.sigmoid(hidden @ params["out"])
            return -jnp.mean(y * jnp.log(p) + (1 - y) * jnp.log(1 - p))

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = self.tx.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    def run(self, step, bad=None):
        rng = np.random.default_rng(1)
        params = {
            "in": jnp.asarray(rng.normal(size=(4, 5)), "float32"),
            "out": jnp.asarray(rng.normal(size=5), "float32"),
        }
        opt_state = self.tx.init(params)
        for number, (x, y) in enumerate(batches()):
            if number == bad:
                # Far on the wrong side, where the sigmoid is exactly 0 or 1.
                logit = np.maximum(x[2] @ np.array(params["in"]), 0) @ np.array(params["out"])
                x[2] *= 200.0 / abs(logit)
                y[2] = float(logit < 0)
            params, opt_state, loss = step(params, opt_state, x, y)
            yield arrays_of((params, opt_state, loss))


class Linen:
    """A `TrainState` of flax linen and a batch that is a dict."""

    def __init__(self):
        class Net(linen.Module):
            @linen.compact
            def __call__(self, x):
                return linen.Dense(3)(linen.tanh(linen.Dense(5)(x)))

        def distance(a, b):
            return jnp.sqrt(jnp.sum((a - b) ** 2, axis=-1))

        def step(state, batch):
            def loss_fn(params):
                first, second = (
                    state.apply_fn({"params": params}, batch[name]) for name in ("anchor", "other")
                )
                return jnp.mean(distance(first, second))

            loss, grads = jax.value_and_grad(loss_fn)(state.params)
            return state.apply_gradients(grads=grads), {"loss": loss}

        self.net, self.step = Net(), jax.jit(step)

    def run(self, step, bad=None):
        params = self.net.init(jax.random.key(0), jnp.zeros((1, 4)))["params"]
        tx = optax.adamw(1e-2)
        state = TrainState.create(apply_fn=self.net.apply, params=params, tx=tx)
        for number, (x, _) in enumerate(batches()):
            other = x[::-1].copy()
            if number == bad:
                other[2] = x[2]
            state, logs = step(state, {"anchor": x, "other": other})
            yield arrays_of((state, logs))


class Nnx:
    """Modules of flax nnx, which the step changes in place."""

    def __init__(self):
        class Net(nnx.Module):
            def __init__(self, rngs):
                self.hidden = nnx.Linear(4, 5, rngs=rngs)
                self.norm = nnx.BatchNorm(5, rngs=rngs)
                self.dropout = nnx.Dropout(0.2, rngs=rngs)
                self.out = nnx.Linear(5, 1, rngs=rngs)

            def __call__(self, x):
                return self.out(self.dropout(nnx.relu(self.norm(self.hidden(x)))))[:, 0]

        @nnx.jit
        def step(model, optimizer, x, y):
            loss, grads = nnx.value_and_grad(lambda model: jnp.mean((model(x) - y) ** 2))(model)
            optimizer.update(model, grads)
            return loss

        self.net, self.step = Net, step

    def run(self, step, bad=None):
        model = self.net(nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, optax.adam(1e-2), wrt=nnx.Param)
        for number, (x, y) in enumerate(batches()):
            if number == bad:
                x[2, 1] = np.nan
            loss = step(model, optimizer, x, y)
            yield arrays_of((nnx.state(model), nnx.state(optimizer), loss))


class Equinox:
    """A module of equinox, which has functions among its leaves."""

    def __init__(self):
        self.tx = optax.adam(1e-2)

        def entropy(v):
            return jnp.where(v > 0, v * jnp.log(v), 0.0)

        def loss_fn(model, x):
            return jnp.mean(entropy(jnp.abs(jax.vmap(model)(x))))

        def step(model, opt_state, x):
            loss, grads = eqx.filter_value_and_grad(loss_fn)(model, x)
            updates, opt_state = self.tx.update(grads, opt_state)
            return eqx.apply_updates(model, updates), opt_state, loss

        self.step = eqx.filter_jit(step)

    def run(self, step, bad=None):
        no_bias = {"use_bias": False, "use_final_bias": False}
        model = eqx.nn.MLP(4, 2, 5, 1, activation=jnp.tanh, **no_bias, key=jax.random.key(0))
        opt_state = self.tx.init(eqx.filter(model, eqx.is_array))
        for number, (x, _) in enumerate(batches()):
            if number == bad:
                x[2] = 0.0  # without biases, so are the outputs
            model, opt_state, loss = step(model, opt_state, x)
            yield arrays_of((model, opt_state, loss))


STYLES = {"functions": Functions, "linen": Linen, "nnx": Nnx, "equinox": Equinox}
