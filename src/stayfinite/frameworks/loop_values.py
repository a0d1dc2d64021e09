"""What a step of a loop reads beside its batch and its state, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class LoopValues:
    """The values of one step.

    Attributes:
        iterations: For each iteration, the numbers and strings that its body reads, by name.
        rates: The learning rate of each group of parameters, as text, which may be `nan`.
        scale: The loss scale as text; None without one.
    """

    iterations: tuple[dict[str, Scalar], ...] = ()
    rates: tuple[str, ...] = ()
    scale: str | None = None
