"""The guard of one training: its recorder, its sentinel, and the handling of a bad step."""

from __future__ import annotations

import contextlib
import math
import random
import textwrap
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stayfinite.errors import CannotGuardError, NonFiniteError
from stayfinite.frameworks.base import GuardedFunction
from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.recorder import Recorder
from stayfinite.frameworks.state import State
from stayfinite.frameworks.subject import Subject
from stayfinite.guard.epoch_logs import EpochLogs
from stayfinite.guard.policies import Measures
from stayfinite.incident import Incident
from stayfinite.saving.whole_files import as_it_is
from stayfinite.strict import caught

if TYPE_CHECKING:
    import keras


class Watch:
    """The guard of one training.

    Args:
        subject: The training.
        keep: Folder for incidents.
        script: The script as the user named it.
        rebuild_all: Calls `rebuild` of every watch of the program.

    Attributes:
        listeners: Called with every incident before `NonFiniteError` is raised.
        say: Called with a one-line notice that is not an incident.
        let_go: Called when a bad step ends the training, to undo what was in place for it.
        boards: The `TensorBoard` callbacks of the present `fit`, which show each incident as text.
        on_abort: Called when Ctrl-C has ended an explanation without an incident.
        unguarded_ok: Whether a training that the guard cannot attach to may run without it.
        measures: The policy, and what it has done.
    """

    def __init__(
        self, subject: Subject, keep: Path, script: str | None, rebuild_all: Callable[[], None]
    ) -> None:
        self.recorder = Recorder()
        self.keep = keep
        self.script = script
        self.listeners: list[Callable[[Incident], None]] = []
        self.say: Callable[[str], None] = _warn
        self.let_go: Callable[[], object] = lambda: None
        self.boards: list[keras.callbacks.TensorBoard] = []
        self.on_abort: Callable[[], object] = lambda: None
        self.unguarded_ok = False
        self.measures = Measures(rebuild_all)
        self._subject = subject
        # Weak: the function refers to this watch, and `compile` lets go of it.
        self._function: Callable[[], GuardedFunction | None] = lambda: None
        self._refused = False
        self._epoch: int | None = None
        self._logs: EpochLogs | None = None

    def arm(self) -> None:
        """Put the sentinel into the train function, if it is not in it now.

        Raises:
            CannotGuardError: it cannot be attached, and `unguarded_ok` is false.
        """
        if self._refused:
            return
        try:
            resumes = self.measures.policy.may_go_on
            function = self._subject.attach(self.recorder, self._on_bad, resumes=resumes)
            self._function = weakref.ref(function)
        except CannotGuardError as error:
            if not self.unguarded_ok:
                raise
            self._refused = True
            self.say(f"{error}; this training runs unguarded")

    def rebuild(self) -> None:
        """Have the step compiled again, because the source of the program was patched."""
        function = self._function()
        if function is None:
            return
        function.rebuild()
        self._subject.forget_functions()

    def release(self) -> None:
        """Have the train function made again at the next step, without the sentinel."""
        if self._function() is not None:
            self._subject.train_function = None
            self._function = lambda: None
        self.let_go()

    def begin_epoch(self, epoch: int) -> None:
        """`fit` begins an epoch, counted from 0: flags may be read late until `end_epoch`."""
        self._epoch = epoch
        self.recorder.begin_epoch(epoch)
        self.let_flags_wait()

    def let_flags_wait(self) -> None:
        """Flags may be read late until `end_epoch`, for steps that draw from one source."""
        function = self._function()
        if function is not None:
            function.begin_epoch()

    def log_epochs(self) -> None:
        """A `fit` begins of which `logs_of_epoch` is asked."""
        self._logs = EpochLogs(self._subject)

    def logs_of_epoch(self) -> dict[str, float]:
        """What is added to the logs of an epoch, at its end; after `log_epochs`."""
        assert self._logs is not None
        return self._logs.after(self.recorder.newest_data(), len(self.measures.made))

    def end_epoch(self) -> None:
        """Read every flag of the epoch, so that nothing is saved or validated on a bad one."""
        self.recorder.begin_epoch(None)
        function = self._function()
        if function is not None:
            function.end_epoch()

    def end_training(self) -> None:
        """`fit` is over: what is evaluated now belongs to no epoch. Repairs are shown again."""
        self._epoch = None
        if self.listeners:
            return  # `stayfinite run` shows those of the whole program
        from stayfinite.report.wording import interventions

        repairs = interventions.repairs(self.measures.made)
        if repairs:
            self.say(repairs)

    def end_evaluation(self, loss: float) -> None:
        """End an evaluation; a non-finite loss gives a notice."""
        if not math.isfinite(loss):
            epoch = self._epoch
            when = "the evaluation" if epoch is None else f"the validation after epoch {epoch}"
            self.say(
                f"the loss of {when} is {loss}; the weights were left as they are, and look for "
                "non-finite or extreme values in the data of the evaluation first"
            )

    def _on_bad(self, state: State, step: int, rerun: Callable[[object], bool]) -> Resumption:
        # Imported here because a finite training does not need the report.
        from stayfinite.report import text
        from stayfinite.report.wording import interventions

        bad, healthy = self.recorder.take(step)
        subject = self._subject.kept_alive()
        failure = Failure(
            subject=subject,
            state=state,
            bad=bad,
            healthy=healthy,
            snapshots=self.recorder.snapshots.all(),
            losses=self.recorder.losses.before(bad.step),
            rerun=lambda: rerun(bad.data),
            files=lambda: subject.files_of(bad.data, bad.batch),
            keep=self.keep,
            script=self.script,
        )
        try:
            with _same_random_numbers(), as_it_is():
                decision = self.measures.decide(failure, self.say)
        except KeyboardInterrupt:
            self.on_abort()
            self._end()
            raise
        incident = decision.incident
        for listener in self.listeners:
            listener(incident)
        self._show_on_boards(incident)
        if decision.resumption is None or incident.intervention is None:
            if decision.reason is not None:
                self.say(interventions.ends(self.measures.policy.name, decision.reason))
            self._end()
            raise NonFiniteError(text.render(incident), incident)
        self.say(interventions.shown(incident, incident.intervention))
        return decision.resumption

    def _show_on_boards(self, incident: Incident) -> None:
        if not self.boards:
            return
        from stayfinite.frameworks.keras import private as keras_private
        from stayfinite.report import text

        # Four blanks make a block of code in Markdown.
        report = textwrap.indent(text.render(incident), "    ")
        for board in self.boards:
            try:
                keras_private.write_text(board, "stayfinite", report, incident.where.step)
            except Exception as error:
                self.say(caught("writing the incident for TensorBoard", error))

    def _end(self) -> None:
        """The training ends here, at the state before the bad step."""
        self.recorder.forget()
        self.end_epoch()
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


def _warn(text: str) -> None:
    """Warn at the line of the user, such as that of `fit`; lines of libraries say nothing."""
    # Imported here, because a training that stays finite does not need it.
    from stayfinite.frameworks.recording.places import user_stacklevel

    warnings.warn(text, RuntimeWarning, stacklevel=user_stacklevel())
