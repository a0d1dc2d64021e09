"""The loss of a step, before it enters the mean that Keras shows.

That mean is a sum, divided: it overflows while the loss itself is still finite.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from stayfinite.frameworks.jax import private


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
def watched() -> Iterator[SeenLoss]:
    """Note the loss of each train step that is traced inside the block, without a loss scale."""
    level = private.trace_level()
    seen = SeenLoss()

    def tell(loss: Any) -> None:
        if private.same_trace_level(level):
            seen.add(loss)

    with private.losses_seen(tell):
        yield seen
