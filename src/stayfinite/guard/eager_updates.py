"""The guard of updates of Keras on TensorFlow that are made outside of any compiled step."""

from __future__ import annotations

from stayfinite.frameworks.failure import Failure
from stayfinite.frameworks.step_turns import TURNS
from stayfinite.frameworks.tensorflow.bad_update import BadUpdate
from stayfinite.frameworks.tensorflow.eager_loops import UpdateListener
from stayfinite.guard.loop_updates import LoopUpdates


class EagerUpdates(LoopUpdates, UpdateListener):
    """The updates of this process, each of them one step."""

    def made(self) -> None:
        """Count a good update."""
        self.begin_step()
        self.count_step()

    def bad(self, update: BadUpdate) -> None:
        """Explain a bad update.

        Raises:
            NonFiniteError: the loop ends here.
        """
        self.begin_step()
        self.stop_at_bad()
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
