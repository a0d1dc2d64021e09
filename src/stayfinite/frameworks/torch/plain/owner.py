"""What handles the bad steps of the loops of a program."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.recorder import Recorder


class Owner(Protocol):
    """What handles the bad steps."""

    recorder: Recorder
    keep: Path
    script: str | None

    def handle(self, failure: Failure) -> Resumption:
        """Explain a bad step; raises where the training ends."""
        ...

    def bad_loss(self, step: int, loss: float) -> bool:
        """A loss is not finite and every gradient is; returns whether the step is bad."""
        ...

    def applied_in_backward(self) -> None:
        """An optimizer was applied inside a backward pass."""
        ...

    def made_by_repair(self, step: int) -> None:
        """The repaired body of a running loop has made a bad step finite."""
        ...

    def cannot_resume(self, why: WhyNot) -> None:
        """The loop cannot go on as was decided; from now on a bad step ends it."""
        ...
