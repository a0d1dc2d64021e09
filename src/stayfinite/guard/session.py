"""`stayfinite run`: every training of a script under guard, and what happened to them.

Keras is imported by the script, if at all. What guards its models is imported after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from stayfinite.errors import UsageError
from stayfinite.frameworks.kept_in_memory import CopyInMemory
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.recorder import StepCount
from stayfinite.guard.bad_steps import BadSteps
from stayfinite.guard.policy import Policy
from stayfinite.guard.unread import UNREAD
from stayfinite.incident import Incident
from stayfinite.report.wording import notices

if TYPE_CHECKING:
    from stayfinite.guard.callback import Guard
    from stayfinite.guard.every_model import EveryModel
    from stayfinite.guard.jax_steps import JaxSteps
    from stayfinite.guard.plain_torch import PlainTorchSteps


class GuardSession:
    """Guards each `keras.Model` that trains after `install`, and plain PyTorch after `watch_torch`.

    Args:
        policy: For each model; a `Guard` of the script with another policy than "stop" has its own.
        keep: Folder for incidents and last good weights.
        script: The script as the user named it, for the incidents.
        say: Called with a one-line notice that is not an incident.
        unguarded_ok: Whether a training that the guard cannot attach to runs without it, after
            saying so. If not, it ends with a `CannotGuardError`.
        log: As that of `Guard`.
        strict: Whether a step of plain PyTorch is bad whose loss alone is not finite.

    Attributes:
        incidents: One for each bad step.
        notes: What the user should know of the run, beside them.
        was_aborted: Whether Ctrl-C has ended an explanation without an incident.
    """

    def __init__(
        self,
        policy: Policy,
        keep: Path,
        script: str | None,
        say: Callable[[str], None],
        unguarded_ok: bool = False,
        log: bool = False,
        strict: bool = False,
    ) -> None:
        self.strict = strict
        self.log = log
        self.policy = policy
        self.keep = keep
        self.script = script
        self.say = say
        self.unguarded_ok = unguarded_ok
        self.incidents: list[Incident] = []
        self.notes: list[str] = []
        self.was_aborted = False
        # Not the watches themselves, so that the models of a script can be freed.
        self._counts: list[StepCount] = []
        self._hooks: EveryModel | None = None
        self._torch: PlainTorchSteps | None = None
        self._jax: JaxSteps | None = None
        self._has_left_alone = False

    @property
    def num_steps(self) -> int:
        """Training steps that the script's models have made so far."""
        return sum(count.num_steps for count in self._counts)

    def install(self) -> None:
        """Hook the training of every model. Called once Keras is imported.

        Raises:
            CannotGuardError: stayfinite has no backend for the Keras backend in use.
            UsageError: another session is installed.
        """
        from stayfinite.guard.every_model import EveryModel

        self._hooks = EveryModel(self, self._guard, self.keep, self.script)
        self._hooks.install()
        if self._jax is not None:
            self._jax.install()

    def watch_jax(self) -> None:
        """Adopt the steps that the script guards itself, and guard those that apply an optimizer.

        Called once JAX is imported, and again after each library of optimizers.

        Raises:
            UsageError: another session is installed.
        """
        from stayfinite.guard.jax_steps import JaxSteps
        from stayfinite.guard.registry import REGISTRY

        REGISTRY.begin_session(self)
        self._jax = self._jax or JaxSteps(self.keep, self.say)
        self._jax.install()

    def check_loops(self) -> None:
        """Read the flags of the loops whose steps the script guards itself.

        Raises:
            NonFiniteError: a step was bad.
        """
        UNREAD.check()

    def report_loops(self) -> None:
        """Read the flags of these loops, and print the report of a bad step."""
        UNREAD.report()

    def say_bad_losses(self) -> None:
        """Print how many losses were not finite beside finite gradients, if more than one."""
        if self._torch is not None:
            self._torch.say_bad_losses()

    def writing(self) -> AbstractContextManager[None]:
        """The block writes the files of the run, after those of a process with the report."""
        return (
            contextlib.nullcontext() if self._torch is None else self._torch.end_in_turn.writing()
        )

    def with_reports(self) -> list[Incident]:
        """The incidents, with those of other processes in the place of lines about them."""
        reports = {} if self._torch is None else self._torch.reports
        return [_report(each, reports.get(each.kept.incident)) for each in self.incidents]

    @property
    def has_reported(self) -> bool:
        """Whether a bad step was reported where no error could be raised."""
        return UNREAD.has_reported

    @property
    def has_unguarded(self) -> bool:
        """Whether the user was told of updates that are not guarded."""
        found = (self._torch, self._jax)
        return self._has_left_alone or any(
            steps is not None and steps.has_unguarded for steps in found
        )

    def watch_torch(self) -> None:
        """Judge each step of `torch.optim`. Called once PyTorch is imported.

        Raises:
            CannotGuardError: this release of PyTorch lacks a name that is needed.
        """
        from stayfinite.guard.plain_torch import PlainTorchSteps

        self._torch = PlainTorchSteps(self.keep, self.script)
        self._torch.strict = self.strict
        self.adopt(self._torch)
        self._torch.install()

    def guard_spawned(
        self, under_guard: Callable[[Callable[..., object]], Callable[..., object]]
    ) -> None:
        """Have PyTorch call functions in processes of their own as `under_guard` gives them."""
        from stayfinite.frameworks.torch.plain.processes import replace_spawned

        replace_spawned(under_guard)

    def guard_started(self, launcher: str, command: Sequence[str]) -> None:
        """Have the processes of a training started by `command`, which guards them as well.

        Args:
            launcher: The module that starts them, which is imported.
            command: Runs the script as this process does.
        """
        from stayfinite.frameworks.torch.plain.trainers import start_by

        start_by(launcher, command)

    def close(self) -> None:
        """Remove the hooks. Guarded models stay guarded."""
        if self._hooks is not None:
            self._hooks.close()
        if self._torch is not None:
            self._torch.close()
        if self._jax is not None:
            self._jax.close()

    def adopt(self, watch: BadSteps) -> None:
        """Make `watch` one of this session."""
        watch.keep, watch.script = self.keep, self.script
        watch.say, watch.unguarded_ok = self.say, self.unguarded_ok
        watch.policy, watch.on_abort = self.policy, self._abort
        watch.listeners.append(self.incidents.append)
        self._counts.append(watch.recorder.count)
        watch.recorder.in_memory.tell = self._note_copy

    def left_alone(self, name: str, why: WhyNot | str) -> None:
        """Say that the step `name()` of a hand-written loop is not guarded."""
        self._has_left_alone = True
        self.say(notices.unguarded_step(name, why))

    def _note_copy(self, copy: CopyInMemory) -> None:
        text = notices.kept_in_memory(copy)
        self.notes.append(text)
        self.say(text)

    def _abort(self) -> None:
        self.was_aborted = True

    def _guard(self) -> Guard:
        from stayfinite.guard.callback import Guard

        policy = self.policy
        return Guard(policy.name, keep=self.keep, max_bad_steps=policy.max_bad_steps, log=self.log)


def _report(incident: Incident, folder: str | None) -> Incident:
    if folder is None:
        return incident
    # Imported here, because a run without a bad step does not need it.
    from stayfinite.report.reading import read

    try:
        return read(Path(folder))
    except UsageError:  # it is on another machine
        return incident
