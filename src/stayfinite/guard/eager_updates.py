"""The guard of updates of Keras on TensorFlow that are made outside of any compiled step."""

from __future__ import annotations

import sys
from pathlib import Path

from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.step_turns import TURNS
from stayfinite.frameworks.tensorflow.eager_loops import BadUpdate, UpdateListener
from stayfinite.guard.bad_steps import BadSteps
from stayfinite.guard.policy import Policy
from stayfinite.guard.registry import REGISTRY

# An update that is judged needs no batch.
_NO_DATA = None


class EagerUpdates(BadSteps, UpdateListener):
    """The updates of this process, each of them one step."""

    def __init__(self, keep: Path) -> None:
        script = getattr(sys.modules.get("__main__"), "__file__", None)
        super().__init__(keep, script, lambda: None)
        self._is_adopted = False

    def made(self) -> None:
        """Count a good update."""
        self._begin_step()
        self.recorder.keep(_NO_DATA, 0)

    def bad(self, update: BadUpdate) -> None:
        """Explain a bad update.

        Raises:
            NonFiniteError: the loop ends here.
        """
        self._begin_step()
        if self.measures.policy.name in ("rollback", "repair"):
            self.say(
                f"this loop cannot go on under the policy {self.measures.policy.name!r}, because "
                "its step is not compiled; it stops"
            )
            self.measures.policy = Policy("stop", self.measures.policy.max_bad_steps)
        if update.continues is not None:
            TURNS.take_over(self.recorder.count, update.continues)
        self.recorder.keep(update.call.data, 0)
        bad, _ = self.recorder.take(self.recorder.num_steps - 1)
        self.handle(
            Failure(
                subject=update.subject,
                state=update.state,
                bad=bad,
                keep=self.keep,
                script=self.script,
                seen=update.seen,
                remade_by=update.call.described if update.is_comparable else None,
                num_others=TURNS.num_others_before(self.recorder.count, bad.step),
            )
        )

    def _begin_step(self) -> None:
        if TURNS.present is not self.recorder.count:
            TURNS.begin(self.recorder.count)
        if not self._is_adopted:
            self._is_adopted = True
            REGISTRY.adopt(self)
