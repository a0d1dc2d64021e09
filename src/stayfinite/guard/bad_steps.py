"""What happens at the bad steps of one training: the policy, and the calls of the listeners."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from stayfinite.errors import NonFiniteError
from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.snapshots import TO_GO_BACK, USUAL
from stayfinite.guard.policies import Measures
from stayfinite.guard.policy import Policy
from stayfinite.incident import Incident
from stayfinite.report.wording import notices


class BadSteps:
    """The steps of one training, and what is done at a bad one.

    Args:
        keep: Folder for incidents.
        script: The script as the user named it.
        rebuild_all: Has every training of the program compiled again.

    Attributes:
        recorder: The recent steps.
        listeners: Called with every incident before `NonFiniteError` is raised.
        say: Called with a one-line notice that is not an incident.
        let_go: Called when a bad step ends the training, to undo what was in place for it.
        on_abort: Called when Ctrl-C has ended an explanation without an incident.
        unguarded_ok: Whether a training that the guard cannot attach to may run without it.
        measures: The policy, and what it has done.
    """

    def __init__(self, keep: Path, script: str | None, rebuild_all: Callable[[], None]) -> None:
        self.recorder = Recorder()
        self.recorder.in_memory.tell = lambda copy: _notify(notices.kept_in_memory(copy))
        self.keep = keep
        self.script = script
        self.listeners: list[Callable[[Incident], None]] = []
        self.say: Callable[[str], None] = _notify
        self.let_go: Callable[[], object] = lambda: None
        self.on_abort: Callable[[], object] = lambda: None
        self.unguarded_ok = False
        self.measures = Measures(rebuild_all)

    @property
    def policy(self) -> Policy:
        """What is done at a bad step."""
        return self.measures.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self.measures.policy = policy
        self.recorder.snapshots.spacing = TO_GO_BACK if policy.name == "rollback" else USUAL

    def handle(self, failure: Failure) -> Resumption:
        """Explain a bad step; returns how the training goes on.

        Raises:
            NonFiniteError: the training ends here.
            KeyboardInterrupt: Ctrl-C was pressed twice.
        """
        # Imported here because a finite training does not need the report.
        from stayfinite.report import text
        from stayfinite.report.wording import interventions

        try:
            with _same_random_numbers(), self.explaining():
                decision = self.measures.decide(failure, self.notices(failure))
        except KeyboardInterrupt:
            self.on_abort()
            self.end()
            raise
        incident = self.of_process(failure, decision.incident)
        for listener in self.listeners:
            listener(incident)
        self.show(incident)
        if decision.resumption is None or incident.intervention is None:
            if decision.reason is not None and not incident.elsewhere:
                self.say(interventions.ends(self.measures.policy.name, decision.reason))
            self.end()
            raise NonFiniteError(text.render(incident), incident)
        if not incident.elsewhere:
            self.say(interventions.shown(incident, incident.intervention))
        return decision.resumption

    def notices(self, failure: Failure) -> Callable[[str], None]:
        """What is called with a line before the step is explained."""
        return self.say

    def of_process(self, failure: Failure, incident: Incident) -> Incident:
        """`incident` with what is said where another process of the training has the report."""
        return incident

    def explaining(self) -> AbstractContextManager[object]:
        """The context in which a step is explained."""
        return contextlib.nullcontext()

    def show(self, incident: Incident) -> None:
        """Show an incident elsewhere than in the error."""

    def end(self) -> None:
        """The training ends here, at the state before the bad step."""
        self.recorder.forget()
        self.let_go()


@contextlib.contextmanager
def _same_random_numbers() -> Iterator[None]:
    """Python and NumPy draw the same numbers after the block as without it."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)


def _notify(text: str) -> None:
    # Imported here, because a training that stays finite does not need it.
    from stayfinite.frameworks.recording.notices import notify

    notify(text)
