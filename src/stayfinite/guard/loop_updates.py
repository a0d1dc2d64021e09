"""The updates of a loop that is compiled in no step: each of them is a step of the process."""

from __future__ import annotations

import sys
from pathlib import Path

from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step_turns import TURNS
from stayfinite.guard.bad_steps import BadSteps
from stayfinite.guard.policy import Policy
from stayfinite.guard.registry import REGISTRY
from stayfinite.report.wording import notices

# An update that is judged needs no batch.
_NO_DATA = None


class LoopUpdates(BadSteps):
    """What the updates of all frameworks have in common.

    Args:
        keep: The folder of the incidents.
    """

    def __init__(self, keep: Path) -> None:
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        super().__init__(keep, script, lambda: None)
        self._is_adopted = False

    def begin_step(self) -> None:
        """An update was made, good or bad."""
        if TURNS.present is not self.recorder.count:
            TURNS.begin(self.recorder.count)
        if not self._is_adopted:
            self._is_adopted = True
            REGISTRY.adopt(self)

    def count_step(self) -> None:
        """Count the step that has begun, without its batch."""
        self.recorder.keep(_NO_DATA, 0)

    def stop_at_bad(self) -> None:
        """Have the policy stop where it would run steps again, and say so."""
        policy = self.measures.policy
        if policy.name in ("rollback", "repair"):
            self.say(notices.cannot_go_on(policy.name, WhyNot(Obstacle.NOT_COMPILED)))
            self.policy = Policy("stop", policy.max_bad_steps)
