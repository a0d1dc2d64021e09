"""What is told of each update that a loop makes outside of `jax.jit`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stayfinite.frameworks.jax.plain.joined_step import JoinedStep


@dataclass(frozen=True)
class GoodUpdate:
    """An update that was made.

    Attributes:
        state: The state before it, by name.
        batch: The arrays that the step read beside it, by name.
        loss: The loss; None if there is none.
        has_finite_gradients: Whether the gradients were finite; None where they are not seen.
    """

    state: Mapping[str, Any]
    batch: Mapping[str, Any]
    loss: Any
    has_finite_gradients: bool | None = True


class JaxUpdateListener(Protocol):
    """What is done with each update."""

    def made(self, update: GoodUpdate) -> None:
        """A good update was made."""
        ...

    def bad(self, steps: Sequence[JoinedStep], *, is_applied: bool = False) -> None:
        """A bad update was left out. It raises where the loop ends.

        Args:
            steps: What makes the step again, the best first.
            is_applied: Whether it was seen after the program had applied it.
        """
        ...

    def left_out(self) -> None:
        """A bad update was computed that the program has not applied to its weights."""
        ...
