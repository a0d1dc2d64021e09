"""Observes the gradients that any train step passes to an optimizer.

A train step, the user's own included, hands its gradients to `Optimizer.apply`. While a step is
traced, that method is watched, so that no assumption about the train step itself is needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from stayfinite.frameworks.jax import private
from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.keras.patches import replaced


@contextlib.contextmanager
def watched(
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
