"""A method under `jax.jit` with donated arguments, by an optimizer of Keras."""

import hashlib
import sys
from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np

keras.utils.set_random_seed(0)
IS_NAIVE = sys.argv[1:] == ["naive"]


class Trainer:
    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer
        optimizer.build(model.trainable_variables)
        self.trainable = [v.value for v in model.trainable_variables]
        self.others = [v.value for v in model.non_trainable_variables]
        self.slots = [v.value for v in optimizer.variables]

    def loss(self, trainable, others, x, y):
        out, others = self.model.stateless_call(trainable, others, x, training=True)
        normalizer = jax.nn.logsumexp(out, axis=-1)
        if IS_NAIVE:
            normalizer = jnp.log(jnp.sum(jnp.exp(out), axis=-1))  # <- here
        return jnp.mean(normalizer - jnp.sum(out * y, axis=-1)), others

    @partial(jax.jit, static_argnums=0, donate_argnums=(1, 3))
    def step(self, trainable, others, slots, x, y):
        compute = jax.value_and_grad(self.loss, has_aux=True)
        (loss, others), gradients = compute(trainable, others, x, y)
        trainable, slots = self.optimizer.stateless_apply(slots, gradients, trainable)
        return trainable, others, slots, loss

    @partial(jax.jit, static_argnums=0)
    def evaluate(self, trainable, others, x, y):
        return self.loss(trainable, others, x, y)[0]


layers = [keras.layers.Dropout(0.2), keras.layers.Dense(2)]
model = keras.Sequential([keras.Input((3,)), *layers])
trainer = Trainer(model, keras.optimizers.SGD(0.1, momentum=0.9))
x = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
y = np.eye(2, dtype="float32")[(x[:, 0] > 0).astype(int)]
if IS_NAIVE:
    x[37] = 1e4
for begin in range(0, 60, 10):
    part = x[begin : begin + 10], y[begin : begin + 10]
    trainer.trainable, trainer.others, trainer.slots, loss = trainer.step(
        trainer.trainable, trainer.others, trainer.slots, *part
    )
    evaluated = trainer.evaluate(trainer.trainable, trainer.others, *part)
    print(f"{float(loss):.6f} {float(evaluated):.6f}")
values = jax.tree.leaves((trainer.trainable, trainer.others, trainer.slots))
print(hashlib.sha256(b"".join(np.asarray(value).tobytes() for value in values)).hexdigest())
