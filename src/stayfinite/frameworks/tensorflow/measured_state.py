"""Whether the state of an eager training is known to be within the limits of `bounds`."""

from __future__ import annotations

from typing import Any

from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.tensorflow import bounds


class MeasuredState:
    """Measures the state of a training now and then, as `bounds.STEPS` updates keep it finite.

    Args:
        subject: The training.
        is_bounded: A boolean variable that says what was found.
        matters: Whether a step asks it.
    """

    def __init__(self, subject: Subject, is_bounded: Any, *, matters: bool) -> None:
        self._subject = subject
        self._is_bounded = is_bounded
        self._matters = matters
        self._calls_left = 0

    def forget(self) -> None:
        """Measure before the next step, because other code may have set the state."""
        self._calls_left = 0

    def begin_step(self) -> None:
        """Measure the state, unless that was done."""
        self._calls_left -= 1
        if not self._matters or self._calls_left >= 0:
            return
        optimizer: Any = self._subject.optimizers[0]
        if not optimizer.built:
            return
        # Outside of `fit` no epoch says when the state may have been set from outside.
        self._calls_left = bounds.STEPS // self._subject.compilation.steps_per_execution - 1
        if self._calls_left < 0:
            return
        variables: list[Any] = self._subject.trainable_variables
        if bounds.is_provable(optimizer, variables):
            self._is_bounded.assign(bounds.is_bounded(optimizer, variables))
