"""Whether the gradients under a loss scale are noted.

An optimizer with a loss scale skips a step whose gradients are not finite, to find the scale. So
they are noted only where the scale cannot be lowered, or where they are asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar

import numpy as np

from stayfinite.frameworks.optimizers import Optimizer, loss_scale_paths

_ASKED_FOR: ContextVar[bool] = ContextVar("gradients under a loss scale", default=False)


@contextlib.contextmanager
def gradients_noted() -> Iterator[None]:
    """Note the gradients under any loss scale inside the block."""
    token = _ASKED_FOR.set(True)
    try:
        yield
    finally:
        _ASKED_FOR.reset(token)


def are_gradients_asked_for() -> bool:
    """Whether they are noted, whatever the scale is."""
    return _ASKED_FOR.get()


def loss_scales_at(optimizers: Sequence[Optimizer], value: float) -> dict[str, np.ndarray]:
    """Every loss scale at `value`, by path."""
    return {path: np.asarray(value, "float32") for path in loss_scale_paths(optimizers)}


def unscaled(gradients: Mapping[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    """The gradients of the loss, from those of the loss times `scale`."""
    # Half precision may have no room for the quotient.
    return {n: g if scale == 1.0 else g.astype("float32") / scale for n, g in gradients.items()}
