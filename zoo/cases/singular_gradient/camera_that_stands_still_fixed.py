"""The same training; the arc cosine of 1 is 0, without a gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax


class Turn(eqx.Module):
    mlp: eqx.nn.MLP

    def __init__(self, key):
        self.mlp = eqx.nn.MLP(4, 3, width_size=16, depth=1, key=key)

    def __call__(self, flow, start):
        moved = start + self.mlp(flow) * jnp.sum(jnp.abs(flow))
        return moved / jnp.linalg.norm(moved)


def angle(a, b):
    cosine = jnp.clip(jnp.dot(a, b), -1.0, 1.0)
    inside = jnp.abs(cosine) < 1.0
    at_the_end = jnp.where(cosine < 0.0, jnp.pi, 0.0)
    return jnp.where(inside, jnp.arccos(jnp.where(inside, cosine, 0.0)), at_the_end)


def loss_fn(model, flow, start, end):
    seen = jax.vmap(model)(flow, start)
    return jnp.mean(jax.vmap(angle)(seen, end))


optim = optax.adam(1e-3)


@eqx.filter_jit
def make_step(model, opt_state, flow, start, end):
    loss, grads = eqx.filter_value_and_grad(loss_fn)(model, flow, start, end)
    updates, opt_state = optim.update(grads, opt_state, model)
    model = eqx.apply_updates(model, updates)
    return model, opt_state, loss


def directions(key, number):
    v = jax.random.normal(key, (number, 3))
    return v / jnp.linalg.norm(v, axis=1, keepdims=True)


def main(steps=12, size=8):
    keys = jax.random.split(jax.random.key(5), 4)
    flow = jax.random.normal(keys[0], (steps * size, 4))
    start = directions(keys[1], steps * size)
    end = directions(keys[2], steps * size)
    still = 8 * size + 3
    flow = flow.at[still].set(0.0)
    start = start.at[still].set(jnp.array([0.0, 0.0, 1.0]))
    end = end.at[still].set(jnp.array([0.0, 0.0, 1.0]))
    model = Turn(keys[3])
    opt_state = optim.init(eqx.filter(model, eqx.is_array))
    for step in range(steps):
        rows = slice(size * step, size * step + size)
        model, opt_state, loss = make_step(model, opt_state, flow[rows], start[rows], end[rows])
        print(step, loss.item())


main()
