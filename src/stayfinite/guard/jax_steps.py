"""The guard of hand-written steps under `jax.jit` that apply an optimizer, in an unchanged program.

Nothing here imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stayfinite.frameworks.jax.plain.found_steps import FoundSteps
from stayfinite.frameworks.jax.plain.subject import PlainJax
from stayfinite.frameworks.jax.plain.uncompiled_updates import UncompiledUpdates
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.guard.jax_updates import JaxUpdates
from stayfinite.guard.loop import WatchedLoop
from stayfinite.guard.policy import Policy
from stayfinite.report.wording import notices


class JaxSteps:
    """The steps under `jax.jit` of a program.

    Args:
        keep: Folder for the incidents of a step that no session adopts.
        say: Called with a line about a step that is not guarded.

    Attributes:
        has_unguarded: Whether there was one.
    """

    def __init__(self, keep: Path, say: Callable[[str], None]) -> None:
        self.has_unguarded = False
        self._keep = keep
        self._say = say
        self._updates = UncompiledUpdates(JaxUpdates(keep))
        self._found = FoundSteps(self, self._updates)

    def install(self) -> None:
        """Find the steps that are compiled by the libraries which are imported by now."""
        self._found.install()
        self._updates.install()

    def close(self) -> None:
        """Find no further step."""
        self._updates.close()
        self._found.close()

    def guard(self, step: PlainJax) -> WatchedLoop:
        """The guard of a step."""
        return WatchedLoop(step, self._keep, Policy())

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """Say that a step is not guarded."""
        self.has_unguarded = True
        self._say(notices.unguarded_step(name, why))
