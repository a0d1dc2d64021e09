"""The guard of one training: its recorder, its sentinel, and the handling of a bad step."""

from __future__ import annotations

import math
import textwrap
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from stayfinite.errors import CannotGuardError, NonFiniteError
from stayfinite.frameworks import base
from stayfinite.frameworks.base import GuardedFunction
from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.recorded_steps import RecordedBatch
from stayfinite.frameworks.state import State
from stayfinite.frameworks.state_log import StateLog
from stayfinite.frameworks.step_turns import TURNS
from stayfinite.frameworks.subject import Subject
from stayfinite.guard.bad_steps import BadSteps
from stayfinite.guard.epoch_logs import EpochLogs
from stayfinite.incident import Incident
from stayfinite.report.wording import notices
from stayfinite.saving.bad_ends import BadEndListener
from stayfinite.saving.whole_files import as_it_is
from stayfinite.strict import caught

if TYPE_CHECKING:
    import keras

# The batch is at fault, whatever the state is.
_OF_THE_BATCH = ("bad-input", "bad-target")


class Watch(BadSteps):
    """The guard of one training with Keras.

    Args:
        subject: The training.
        keep: Folder for incidents.
        script: The script as the user named it.
        rebuild_all: Calls `rebuild` of every watch of the program.

    Attributes:
        boards: The `TensorBoard` callbacks of the present `fit`, which show each incident.
        at_bad_end: Callbacks of the present `fit` to call at a bad end.
    """

    def __init__(
        self, subject: Subject, keep: Path, script: str | None, rebuild_all: Callable[[], None]
    ) -> None:
        super().__init__(keep, script, rebuild_all)
        self.boards: list[keras.callbacks.TensorBoard] = []
        self.at_bad_end: list[BadEndListener] = []
        self._subject = subject
        # Weak: the function refers to this watch, and `compile` lets go of it.
        self._function: Callable[[], GuardedFunction | None] = lambda: None
        self._refused = False
        self._epoch: int | None = None
        self._logs: EpochLogs | None = None
        # Steps of the model before the present `fit`.
        self._num_before = 0

    def arm(self) -> None:
        """Put the sentinel into the train function, if it is not in it now.

        Raises:
            CannotGuardError: it cannot be attached, and `unguarded_ok` is false.
        """
        if self._refused:
            return
        try:
            policy = self.measures.policy
            resumes = policy.may_go_on
            self.recorder.state_log = StateLog() if policy.name == "rollback" else None
            function = self._subject.attach(self.recorder, self._on_bad, resumes=resumes)
            self._function = weakref.ref(function)
        except CannotGuardError as error:
            if not self.unguarded_ok:
                raise
            self._refused = True
            self.say(notices.unguarded_training(error))

    def hold_function(self) -> None:
        """Keep the train function as long as the watch: its flags are read at the deletion."""
        function = self._function()
        self._function = lambda: function

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

    def begin_training(self, *, sees_steps: bool = True, is_alone: bool = False) -> None:
        """A `fit` begins; for the arguments see `GuardedFunction`."""
        self.arm()
        self._num_before = self.recorder.num_steps
        function = self._function()
        if function is not None:
            function.begin_training(sees_steps=sees_steps, is_alone=is_alone)

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

    def read_flags(self) -> None:
        """Read the flag of every step so far."""
        function = self._function()
        if function is not None:
            function.read_flags()

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
            self.say(notices.bad_evaluation(loss, self._epoch))

    def _on_bad(self, state: State, step: int, rerun: Callable[[object], bool]) -> Resumption:
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
            num_others=TURNS.num_others_before(self.recorder.count, bad.step),
            made_again=self.recorder.made_again,
            keep=self.keep,
            script=self.script,
        )
        if self.measures.policy.name in ("stop", "skip"):
            # Other policies make the compiled step again.
            failure = subject.whole(failure)
        try:
            return self.handle(failure)
        except NonFiniteError as error:
            if not self._is_of_batch(error.incident, bad):
                for callback in self.at_bad_end:
                    callback.ended_by_bad_step(bad.step - self._num_before)
            raise

    def _is_of_batch(self, incident: Incident, bad: RecordedBatch) -> bool:
        if incident.cause.name == "unknown":
            # As after an explanation that was interrupted.
            batch = base.framework_of(self._subject).batch(self._subject, bad.data)
            return not batch.is_finite()
        return incident.cause.name in _OF_THE_BATCH

    def explaining(self) -> AbstractContextManager[object]:
        """Files are saved as they are: a step that is run again saves none of its own."""
        return as_it_is()

    def show(self, incident: Incident) -> None:
        """Show an incident on the boards of the present `fit`."""
        if not self.boards:
            return
        from stayfinite.frameworks.keras import private as keras_private
        from stayfinite.report import figures, folder, text

        charts = figures.charts_of(folder.kept_report(incident).figures)
        # Four blanks make a block of code in Markdown.
        report = textwrap.indent(text.render(incident), "    ")
        for board in self.boards:
            try:
                step = incident.where.step
                keras_private.write_to_board(board, "stayfinite", report, step, charts)
            except Exception as error:
                self.say(caught("writing the incident for TensorBoard", error))

    def end(self) -> None:
        """The training ends here, at the state before the bad step."""
        self.recorder.forget()
        self.end_epoch()
        self.let_go()
