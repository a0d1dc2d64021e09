"""The norm of the gradients on JAX, by a compiled function of its own.

In the compiled step one more reader of a gradient may change how XLA fuses, and with it the last
bit of the weights.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from stayfinite.frameworks.jax.keras_library import watched_gradients
from stayfinite.frameworks.jax.state import state_variables
from stayfinite.frameworks.subject import Subject


class JaxGradientNorm:
    """Computes it for batches of `subject`; compiled at the first one."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

        def norm(state: Any, data: Any) -> Any:
            found: list[Any] = []
            with watched_gradients(lambda grads, _: found.extend(grads), scaled_too=True):
                subject.train_step(state, data)
            squares = [jnp.sum(jnp.square(grad.astype("float32"))) for grad in found]
            return jnp.sqrt(sum(squares))

        self._norm = jax.jit(norm)

    def __call__(self, data: object) -> float:
        """The norm at the present weights; a loss scale is in it."""
        state = tuple([v.value for v in group] for group in state_variables(self._subject))
        return float(self._norm(state, data))
