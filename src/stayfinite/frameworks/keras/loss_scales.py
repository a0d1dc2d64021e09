"""The scales of `LossScaleOptimizer`: where they are in a state, and when a step failed by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from stayfinite.frameworks.keras.private import LossScaleOptimizer


def positions(optimizers: Sequence[Any]) -> list[int]:
    """Where in the optimizer variables of a state the scales of `LossScaleOptimizer` are."""
    found: list[int] = []
    first = 0
    for optimizer in optimizers:
        variables = optimizer.variables
        if isinstance(optimizer, LossScaleOptimizer) and optimizer.built:
            scale = optimizer.dynamic_scale
            found += [first + n for n, v in enumerate(variables) if v is scale]
        first += len(variables)
    return found


def loss_scale_paths(optimizers: Sequence[Any]) -> list[str]:
    """The paths of the variables at `positions`."""
    variables = [variable for optimizer in optimizers for variable in optimizer.variables]
    return [variables[n].path for n in positions(optimizers)]


def loss_scale(optimizers: Sequence[Any]) -> float | None:
    """The scale of the first optimizer, if it is a `LossScaleOptimizer`."""
    first = optimizers[0] if optimizers else None
    if not isinstance(first, LossScaleOptimizer) or not first.built:
        return None
    return float(keras.ops.convert_to_numpy(first.dynamic_scale))


def inner_optimizer(optimizer: Any) -> Any:
    """The optimizer inside a `LossScaleOptimizer`; any other optimizer itself."""
    return optimizer.inner_optimizer if isinstance(optimizer, LossScaleOptimizer) else optimizer


def has_fallen(before: Any, after: Any) -> Any:
    """Whether a step was skipped to lower a loss scale, as the backend's boolean."""
    return after < before


def is_spent(scale: Any) -> bool:
    """Whether a loss scale is at its minimum, so that a step which it skips is bad."""
    return float(scale) <= 1.0


def collapsed_scales(
    optimizers: Sequence[Any], before: Sequence[Any], after: Callable[[int], Any]
) -> list[str]:
    """The paths of the loss scales for which `has_collapsed` is true.

    `before` are the optimizer variables of a state; `after(n)` is what number `n` of them became.
    """
    variables = [variable for optimizer in optimizers for variable in optimizer.variables]
    # As numbers: a step in float64 has another dtype than the state.
    return [
        variables[n].path
        for n in positions(optimizers)
        if has_collapsed(float(before[n]), float(after(n)))
    ]


def has_collapsed(before: Any, after: Any) -> Any:
    """Whether a step halved a loss scale that was already at its minimum, as the backend's boolean.

    Gradients that overflow are the normal way of finding the scale. If they are not finite although
    the loss was not magnified at all, it is not the scale that made them so, and every further
    step is skipped, too.
    """
    return (after < 1.0) & (after < before)
