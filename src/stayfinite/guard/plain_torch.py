"""The guard of loops over `torch.optim`: every step of an unchanged program.

Nothing here imports Keras.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stayfinite.frameworks.failure import Failure, Resumption
from stayfinite.frameworks.obstacles import WhyNot
from stayfinite.frameworks.torch.plain import compiled, reporting, trees
from stayfinite.frameworks.torch.plain.calls import StepCall, is_update
from stayfinite.frameworks.torch.plain.training import Training
from stayfinite.frameworks.torch.plain.watching import WATCHING
from stayfinite.guard.bad_steps import BadSteps
from stayfinite.guard.policy import MAX_BAD_STEPS, Policy
from stayfinite.incident import Incident, Intervention
from stayfinite.report.wording import notices
from stayfinite.strict import caught


@contextlib.contextmanager
def watching(
    *,
    policy: str = "stop",
    keep: str | Path = "stayfinite-out",
    strict: bool = False,
    max_bad_steps: int = MAX_BAD_STEPS,
) -> Iterator[None]:
    """Guard every loop over `torch.optim` inside the block, as `stayfinite run` does a script.

    For notebooks, and for programs that are not started by `stayfinite run`. The loop may be any
    code: an optimizer is applied only if its gradients are finite.

    Args:
        policy: "stop" ends the loop at a bad step. "skip" leaves the step out and goes on.
            "rollback" makes it again with a remedy that was proved, "repair" with a source fix.
        keep: Folder for the incident and the last good weights.
        strict: Whether a step is bad whose loss alone is not finite.
        max_bad_steps: So many bad steps in a row end the loop under every policy.

    Raises:
        NonFiniteError: inside the block, at a bad step.
        UsageError: the policy is not one of these.

    Example:

    ```python
    import torch

    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters())
    with stayfinite.watching():
        for _ in range(3):
            loss = model(torch.ones(8, 4)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    ```
    """
    steps = PlainTorchSteps(Path(keep), _main_file())
    steps.strict = strict
    steps.policy = Policy(policy, max_bad_steps)
    with steps.watching():
        yield


class TrainerGuard:
    """What the callbacks of trainers share: `watching`, from begin to end of a training.

    Args:
        policy: As that of `watching`.
        keep: Folder for the incident and the last good weights.
        strict: Whether a step is bad whose loss alone is not finite.
        max_bad_steps: So many bad steps in a row end the training under every policy.
    """

    def __init__(
        self,
        policy: str = "stop",
        *,
        keep: str | Path = "stayfinite-out",
        strict: bool = False,
        max_bad_steps: int = MAX_BAD_STEPS,
    ) -> None:
        super().__init__()
        self._watch = functools.partial(
            watching, policy=policy, keep=keep, strict=strict, max_bad_steps=max_bad_steps
        )
        self._watching = contextlib.ExitStack()

    def _begin(self) -> None:
        """Judge every step from now on."""
        self._watching.close()
        self._watching.enter_context(self._watch())

    def _end(self) -> None:
        """Judge no further step."""
        self._watching.close()


class PlainTorchSteps(BadSteps):
    """The steps of all loops over `torch.optim` in this process.

    Args:
        keep: Folder for incidents.
        script: The script as the user named it.

    Attributes:
        strict: Whether a step whose loss alone is not finite is bad.
        has_unguarded: Whether the user was told of updates that are not guarded.
        end_in_turn: Has the process with the report end before the others of a training.
        reports: The folder of the report of another process, by that of the incident here.
    """

    def __init__(self, keep: Path, script: str | None) -> None:
        super().__init__(keep, script, compiled.forget)
        self.strict = False
        self.has_unguarded = False
        # The first and the last step whose loss alone is not finite, and how many there are.
        self._bad_losses: tuple[int, int, int] | None = None
        self._has_reported_repair = False
        self._has_begun = False
        self.end_in_turn = reporting.EndInTurn()
        self.reports: dict[str, str] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Judge the steps that are made inside the block, if nothing judges them yet.

        Raises:
            CannotGuardError: this release of PyTorch lacks a name that is needed.
        """
        outer = WATCHING.listener, WATCHING.on_error
        if isinstance(outer[0], Training) and not outer[0].is_of_notebook:
            yield
            return
        self.install()
        self.begin()
        try:
            yield
        finally:
            WATCHING.listener, WATCHING.on_error = outer
            self.say_bad_losses()

    def install(self, *, is_of_notebook: bool = False) -> None:
        """Judge every step from now on.

        Args:
            is_of_notebook: Whether a `watching` block inside has its own settings.

        Raises:
            CannotGuardError: this release of PyTorch lacks a name that is needed.
        """
        WATCHING.install()
        WATCHING.on_error = self._failed
        WATCHING.listener = Training(WATCHING, self, is_of_notebook=is_of_notebook)

    def begin(self) -> None:
        """Find the optimizers that were made before; needed once."""
        if not self._has_begun:
            self._has_begun = True
            WATCHING.begin()

    def close(self) -> None:
        """Judge no further step."""
        WATCHING.listener = None
        self.say_bad_losses()

    def handle(self, failure: Failure) -> Resumption:
        """Explain a bad step; returns how the loop goes on, and raises where it ends."""
        makes_again = self.measures.policy.name in ("rollback", "repair")
        if makes_again and failure.cannot_resume is not None:
            self.cannot_resume(failure.cannot_resume, self.notices(failure))
        return super().handle(failure)

    def notices(self, failure: Failure) -> Callable[[str], None]:
        """What is called with a line before the step is explained: one process prints it."""
        return self.say if failure.num_stopping == 1 or reporting.is_first() else _nothing

    def of_process(self, failure: Failure, incident: Incident) -> Incident:
        """`incident`; of the processes that judge the step alike, one has the report or line."""
        from stayfinite.report import text
        from stayfinite.report.wording import processes

        if failure.num_stopping == 1:
            return incident
        order = processes.order(incident)
        own, first = reporting.first_report(incident.where.step, order, incident.kept.incident)
        self.end_in_turn.note(own, first.rank)
        if first.rank == own:
            return incident
        if incident.kept.incident and first.folder:
            self.reports[incident.kept.incident] = first.folder
        said = processes.elsewhere(incident, own, first.rank, text.near(first.folder))
        return replace(incident, elsewhere=said)

    def cannot_resume(self, why: WhyNot, say: Callable[[str], None] | None = None) -> None:
        """Tell why the loop cannot go on; from now on a bad step ends it."""
        policy = self.measures.policy
        (say or self.say)(notices.cannot_go_on(policy.name, why))
        self.policy = Policy("stop", policy.max_bad_steps)

    def made_by_repair(self, step: int) -> None:
        """Print once that the repaired body of a running loop makes the steps that fail."""
        if not self._has_reported_repair:
            self._has_reported_repair = True
            self.say(notices.made_by_repair(step))

    def _failed(self, error: Exception) -> None:
        self.say(notices.unguarded_from_here(caught("noting a step", error)))

    def bad_loss(self, step: int, loss: float) -> bool:
        """Print that a loss is not finite beside finite gradients, of the first such step."""
        if self.strict:
            return True
        first, _, num = self._bad_losses or (step, step, 0)
        self._bad_losses = first, step, num + 1
        if num == 0:
            self.say(notices.applied_bad_loss(step, loss))
        return False

    def say_bad_losses(self) -> None:
        """Print at the end how many losses were not finite, where more than the first one."""
        losses, self._bad_losses = self._bad_losses, None
        if losses is not None and losses[2] > 1:
            first, last, num = losses
            self.say(notices.applied_bad_losses(num, first, last))

    def applied_in_backward(self) -> None:
        """Print once that an optimizer is applied inside a backward pass."""
        if not self.has_unguarded:
            self.has_unguarded = True
            self.say(notices.applied_in_backward())


def _nothing(text: str) -> None:
    """Leave out a line that another process prints."""


class GuardedCalls:
    """The calls of one step function over `torch.optim`, under guard.

    Args:
        step: The function.
        keep: Folder for the incident.
        policy: What to do at a bad step.
    """

    def __init__(self, step: Callable[..., Any], keep: Path, policy: Policy) -> None:
        self._step = step
        self._name = str(getattr(step, "__qualname__", type(step).__name__))
        self._steps = PlainTorchSteps(keep, _main_file())
        self._steps.policy = policy

    @property
    def interventions(self) -> list[Intervention]:
        """How the training went on after each bad step, if this guard has judged it."""
        return list(self._steps.measures.made)

    def call(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """Make one guarded step."""
        is_guarded = WATCHING.listener is not None
        with self._steps.watching():
            call = StepCall(self._step, self._name, args, keywords, WATCHING.notes.generators.now())
            if is_guarded and (call.is_given_loss or is_update(self._step)):
                return self._step(*args, **keywords)  # a part of a step that is guarded as a whole
            with WATCHING.calling(call):
                return self._step(*args, **keywords)

    def check(self) -> None:
        """Nothing: each step is judged before its update."""


def has_tensors(given: object) -> bool:
    """Whether there is a tensor of PyTorch among the arguments of a call."""
    return any(type(leaf).__module__.startswith("torch") for _, leaf in trees.leaves(given))


def _main_file() -> str | None:
    return getattr(sys.modules.get("__main__"), "__file__", None)
