"""A training loop without `fit`, as Keras's guide for each framework writes it."""

from __future__ import annotations

import keras
import numpy as np

from tests.guard import nets


class WrittenByHand:
    """`step(x, y)` trains `model`; `guard` is put around the step function if it is given."""

    def __init__(self, guard=None, loss=None, compiled=True):
        self.model = nets.mlp()
        self.optimizer = keras.optimizers.Adam(1e-2)
        self.optimizer.build(self.model.trainable_variables)
        self.loss = loss or keras.losses.MeanSquaredError()
        step = _MAKERS[keras.backend.backend()](self, compiled)
        self.guarded = guard(step, self.model, self.optimizer) if guard else step
        self._state = self._initial_state()

    def step(self, x, y):
        if self._state is None:
            return self.guarded(*self._tensors(x, y))
        loss, self._state = self.guarded(self._state, (x, y))
        return loss

    def arrays(self):
        """Weights, statistics, seeds and optimizer variables as they are now."""
        if self._state is not None:
            return [np.array(value) for part in self._state for value in part]
        groups = (
            self.model.trainable_variables,
            self.model.non_trainable_variables,
            self.optimizer.variables,
        )
        return [keras.ops.convert_to_numpy(v.value).copy() for group in groups for v in group]

    def _initial_state(self):
        if keras.backend.backend() != "jax":
            return None
        return (
            [v.value for v in self.model.trainable_variables],
            [v.value for v in self.model.non_trainable_variables],
            [v.value for v in self.optimizer.variables],
        )

    def _tensors(self, x, y):
        return keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)


def _jax_step(loop, compiled):
    import jax

    def compute(trainable, non_trainable, x, y):
        prediction, non_trainable = loop.model.stateless_call(
            trainable, non_trainable, x, training=True
        )
        return loop.loss(y, prediction), non_trainable

    gradient = jax.value_and_grad(compute, has_aux=True)

    def train_step(state, data):
        trainable, non_trainable, optimizer = state
        (loss, non_trainable), grads = gradient(trainable, non_trainable, *data)
        trainable, optimizer = loop.optimizer.stateless_apply(optimizer, grads, trainable)
        return loss, (trainable, non_trainable, optimizer)

    return jax.jit(train_step) if compiled else train_step


def _tensorflow_step(loop, compiled):
    import tensorflow as tf

    def train_step(x, y):
        with tf.GradientTape() as tape:
            loss = loop.loss(y, loop.model(x, training=True))
        grads = tape.gradient(loss, loop.model.trainable_weights)
        loop.optimizer.apply(grads, loop.model.trainable_weights)
        return loss

    return tf.function(train_step) if compiled else train_step


def _torch_step(loop, compiled):
    import torch

    def train_step(x, y):
        loss = loop.loss(y, loop.model(x, training=True))
        loop.model.zero_grad()
        weights = list(loop.model.trainable_weights)
        loss.backward()
        grads = [weight.value.grad for weight in weights]
        with torch.no_grad():
            loop.optimizer.apply(grads, weights)
        return loss

    return train_step


_MAKERS = {"jax": _jax_step, "tensorflow": _tensorflow_step, "torch": _torch_step}
