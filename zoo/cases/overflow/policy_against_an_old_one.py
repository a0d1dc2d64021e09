"""Flax nnx: the ratio of a policy to the one that played, with an action that it excluded."""
# /// zoo
# cause = "overflow"
# step = 7
# rows = [2]
# fix = "source"
# value = "bounded"
# backends = ["plain-jax"]
# stands_for = ["D06"]
# ///

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx


class Policy(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.body = nnx.Linear(4, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.head = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, observation):
        return self.head(nnx.tanh(self.norm(self.body(observation))))


def surrogate(policy, batch):
    log_probs = jax.nn.log_softmax(policy(batch["observation"]))
    log_prob = jnp.take_along_axis(log_probs, batch["action"][:, None], axis=1)[:, 0]
    ratio = jnp.exp(log_prob - batch["old_log_prob"])  # at fault
    advantage = batch["advantage"]
    clipped = jnp.clip(ratio, 0.8, 1.2)
    return -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))


@nnx.jit
def update(policy, optimizer, batch):
    loss, grads = nnx.value_and_grad(surrogate)(policy, batch)
    optimizer.update(policy, grads)
    return loss


def play(number):
    rng = np.random.default_rng(11)
    data = {
        "observation": rng.normal(size=(number, 4)).astype("float32"),
        "action": rng.integers(0, 3, number),
        "old_log_prob": np.log(rng.uniform(0.2, 0.5, number)).astype("float32"),
        "advantage": rng.normal(size=number).astype("float32"),
    }
    data["old_log_prob"][7 * 8 + 2], data["advantage"][7 * 8 + 2] = -101.0, -0.8
    return data


policy = Policy(nnx.Rngs(1))
optimizer = nnx.Optimizer(policy, optax.adam(3e-4), wrt=nnx.Param)
played = play(96)
for step in range(12):
    batch = {name: value[8 * step : 8 * step + 8] for name, value in played.items()}
    print(step, update(policy, optimizer, batch))
