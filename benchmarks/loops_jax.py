"""The loops over optax that `loops.py` measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import stayfinite


class DenseLoop:
    """Dense layers, each with its bias."""

    depth, width, batch = 3, 32, 16

    def __init__(self) -> None:
        numbers = np.random.default_rng(0)
        size = (self.batch, self.width)
        self.inputs = jnp.asarray(numbers.normal(size=size), jnp.float32)
        self.targets = jnp.asarray(numbers.normal(size=size), jnp.float32)
        optimizer = optax.adam(1e-4)

        def loss_of(weights: Any, inputs: Any, targets: Any) -> Any:
            for kernel, bias in weights[:-1]:
                inputs = inputs + jax.nn.relu(inputs @ kernel + bias)
            kernel, bias = weights[-1]
            return jnp.mean((inputs @ kernel + bias - targets) ** 2)

        def step(weights: Any, state: Any, inputs: Any, targets: Any) -> Any:
            loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, targets)
            updates, state = optimizer.update(gradients, state, weights)
            return optax.apply_updates(weights, updates), state, loss

        self._steps: Mapping[bool, Callable[..., Any]] = {
            False: jax.jit(step),
            True: stayfinite.guarded(jax.jit(step)),
        }
        scale = 0.3 / self.width**0.5
        shape = (self.width, self.width)
        weights = [
            (jnp.asarray(numbers.normal(size=shape) * scale, jnp.float32), jnp.zeros(self.width))
            for _ in range(self.depth)
        ]
        first = weights, optimizer.init(weights)
        self._states: dict[bool, Any] = {False: first, True: first}
        for guarded in self._steps:
            self.seconds(40, guarded=guarded)

    def seconds(self, num_steps: int, *, guarded: bool) -> float:
        """Processor seconds of a step."""
        step, (weights, state) = self._steps[guarded], self._states[guarded]
        began = time.process_time()
        for _ in range(num_steps):
            weights, state, _loss = step(weights, state, self.inputs, self.targets)
        jax.block_until_ready((weights, state))
        took = time.process_time() - began
        self._states[guarded] = weights, state
        return took / num_steps


class LargeBatchLoop(DenseLoop):
    """Few arrays, and much to compute."""

    depth, width, batch = 4, 256, 1024


class ManyArraysLoop(DenseLoop):
    """102 weights, 309 arrays of weights and moments."""

    depth, width, batch = 51, 64, 768


LOOPS: Mapping[str, type[DenseLoop]] = {
    "3 layers of 32, batch of 16, adam": DenseLoop,
    "4 layers of 256, batch of 1,024, adam": LargeBatchLoop,
    "51 layers of 64, batch of 768, adam": ManyArraysLoop,
}
