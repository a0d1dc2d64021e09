"""Find the training of an incident in a script without Keras, before its first update."""

from __future__ import annotations

import collections
from collections.abc import Callable
from pathlib import Path

from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject
from stayfinite.replay.other_trainings import OtherTrainings
from stayfinite.replay.plain_step import plain_misfit
from stayfinite.replay.saved_step import SavedStep

# Steps of one training whose variables are compared with the incident. Those that differ in their
# batch alone are not counted: the last step of an epoch may have fewer batches than those before.
_MOST_OFFERS = 3


class PlainReplaySession:
    """Watches every loop over `torch.optim`, or every guarded step of JAX, until one fits.

    Args:
        saved: The step to look for.
        found: Called with the first step of the training that fits. It does not return.
        refuse: Called with the reason if no training can fit. It does not return.
        skipped: Called with the name of another training, and why it is another.

    Attributes:
        others: The trainings that did not fit so far.
    """

    def __init__(
        self,
        saved: SavedStep,
        found: Callable[[Failure], object],
        refuse: Callable[[str], object],
        skipped: Callable[[str, str], None],
    ) -> None:
        self.recorder = Recorder()
        self.keep = Path()
        self.script = saved.incident.script
        self._saved = saved
        self._found = found
        self._refuse = refuse
        self.others = OtherTrainings(skipped)
        self._offers: collections.Counter[str] = collections.Counter()

    def install(self) -> None:
        """Hook the steps of the framework of the incident. Called once it is imported.

        Raises:
            CannotGuardError: this release of the framework lacks a name that is needed.
        """
        if self._saved.incident.backend == "jax":
            from stayfinite.frameworks.jax.plain.subject import PlainJax

            PlainJax.before_step = staticmethod(self._offer_of_jax)
            return
        from stayfinite.frameworks.torch.plain.first_steps import watch_first_steps

        watch_first_steps(self)

    def handle(self, failure: Failure) -> Resumption:
        """Replay on a training if it fits; else its step is left as it is."""
        name = failure.subject.name
        if self._offers[name] < _MOST_OFFERS:
            wrong = plain_misfit(failure, self._saved)
            if wrong is None:
                self.others.ended(name)
                self._found(failure)
            elif wrong.is_final:
                self.others.ended(name)
                self._refuse(wrong.reason)
            else:
                self._offers[name] += not wrong.is_of_batch
                self.others.note(name, wrong.reason)
                if self._offers[name] == _MOST_OFFERS:
                    self.others.given_up(name)
        return Resumption()

    def bad_loss(self, step: int, loss: float) -> bool:
        """A step of any kind is compared with the incident."""
        return True

    def applied_in_backward(self) -> None:
        """Nothing: no incident is of such an optimizer."""

    def made_by_repair(self, step: int) -> None:
        """Nothing: nothing is repaired here."""

    def cannot_resume(self, why: WhyNot) -> None:
        """Nothing: no step is made again for good here."""

    def _offer_of_jax(self, subject: Subject, state: State, data: object) -> None:
        self.handle(
            Failure(
                subject=subject,
                state=state,
                bad=RecordedBatch(0, None, None, data, 0),
                keep=self.keep,
                script=self.script,
            )
        )
