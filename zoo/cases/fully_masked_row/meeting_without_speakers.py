"""Flax linen with a `TrainState`: attention over the speakers of a meeting.

In one meeting nobody spoke, and all its scores are -inf.
"""
# /// zoo
# cause = "fully-masked-row"
# step = 4
# rows = [6]
# fix = "source"
# value = "undefined"
# backends = ["plain-jax"]
# stands_for = ["F01"]
# ///

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState


class Meeting(nn.Module):
    width: int = 12

    @nn.compact
    def __call__(self, speakers, present):
        h = nn.tanh(nn.Dense(self.width)(speakers))
        scores = nn.Dense(1)(h)[..., 0] + jnp.where(present, 0.0, -jnp.inf)
        weights = nn.softmax(scores, axis=-1)  # at fault
        pooled = jnp.einsum("bs,bsw->bw", weights, h)
        return nn.Dense(1)(pooled)[:, 0]


def create_state(key, speakers, present):
    model = Meeting()
    params = model.init(key, speakers, present)["params"]
    return TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(1e-3))


@jax.jit
def train_step(state, batch):
    def loss_fn(params):
        minutes = state.apply_fn({"params": params}, batch["speakers"], batch["present"])
        return jnp.mean((minutes - batch["minutes"]) ** 2)

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return state.apply_gradients(grads=grads), loss


rng = np.random.default_rng(5)
speakers = rng.normal(size=(80, 4, 6)).astype("float32")
present = rng.random((80, 4)) < 0.7
present[:, 0] = True
present[4 * 8 + 6] = False
minutes = rng.normal(size=80).astype("float32")
data = {"speakers": speakers, "present": present, "minutes": minutes}
state = create_state(jax.random.key(0), speakers[:8], present[:8])
for step in range(10):
    rows = slice(8 * step, 8 * step + 8)
    state, loss = train_step(state, {name: value[rows] for name, value in data.items()})
    print(f"step {step}: {loss:.4f}")
