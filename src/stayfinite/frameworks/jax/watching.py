"""Observes the loss and the gradients of any train step while it is traced.

A train step, the user's own included, hands its gradients to `Optimizer.apply`, so that method is
watched. The loss is read before it enters the mean that Keras shows: that mean is a sum, divided,
and overflows while the loss itself is finite.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.patches import replaced


@contextlib.contextmanager
def watched_gradients(
    seen: Callable[[Any, list[Any], list[Any]], None], *, scaled_too: bool = False
) -> Iterator[None]:
    """Call `seen(optimizer, gradients, variables)` for each outermost update inside the block.

    The gradients under a `LossScaleOptimizer` are not shown unless asked for: non-finite ones are
    its normal way of finding the scale, and it skips the update by itself.
    """
    level = private.trace_level()
    depth = 0

    def show(optimizer: Any, grads: Any, variables: Any) -> None:
        owned = keras_private.variables_of(optimizer) if variables is None else variables
        pairs = [(g, v) for g, v in zip(grads, owned, strict=False) if g is not None]
        seen(optimizer, [g for g, _ in pairs], [v for _, v in pairs])

    def showing(plain: Callable[..., Any]) -> Callable[..., Any]:
        def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
            nonlocal depth
            if depth == 0 and private.same_trace_level(level):
                show(self, grads, trainable_variables)
            depth += 1
            try:
                return plain(self, grads, trainable_variables)
            finally:
                depth -= 1

        return apply

    def showing_scaled(plain: Callable[..., Any]) -> Callable[..., Any]:
        def stateless_apply(self: Any, own: Any, grads: Any, trainable_variables: Any) -> Any:
            nonlocal depth
            if scaled_too and depth == 0 and private.same_trace_level(level):
                show(self, grads, None)
            depth += 1
            try:
                return plain(self, own, grads, trainable_variables)
            finally:
                depth -= 1

        return stateless_apply

    with replaced(
        [
            (keras_private.BaseOptimizer, "apply", showing),
            (keras_private.LossScaleOptimizer, "stateless_apply", showing_scaled),
        ]
    ):
        yield


class SeenLoss:
    """What a train step made its gradients from."""

    def __init__(self) -> None:
        self._losses: list[Any] = []

    def add(self, loss: Any) -> None:
        """Note a loss that Keras is about to add to its mean."""
        self._losses.append(loss)

    def of(self, logs: Any) -> Any:
        """The loss: the one seen; for a step that is not Keras's own, the one in its logs."""
        if self._losses:
            return self._losses[-1]
        return logs.get("loss") if isinstance(logs, dict) else None


@contextlib.contextmanager
def watched_loss() -> Iterator[SeenLoss]:
    """Note the loss of each train step that is traced inside the block, without a loss scale."""
    level = private.trace_level()
    seen = SeenLoss()

    def tell(loss: Any) -> None:
        if private.same_trace_level(level):
            seen.add(loss)

    with private.losses_seen(tell):
        yield seen
