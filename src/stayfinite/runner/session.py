"""What a run needs: a program, its options, and the guard that is made once it imports Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypedDict

from stayfinite.guard.policy import Policy
from stayfinite.incident import Incident


class RunOptions(TypedDict):
    """The options of a run, which the processes that it starts have as well."""

    policy: str
    max_bad_steps: int
    keep: Path
    json: Path | None
    html: Path | None
    unguarded_ok: bool
    log_metrics: bool
    strict: bool


class Program(Protocol):
    """What is run: a `program.UserProgram`, or a function in a process of its own."""

    @property
    def target(self) -> str:
        """The script or the module."""

    @property
    def is_module(self) -> bool:
        """Whether it is a module."""

    def execute(self) -> None:
        """Run it; raises what it raises."""


class GuardedSession(Protocol):
    """The guard of a run; implemented by `stayfinite.guard.session`."""

    @property
    def incidents(self) -> Sequence[Incident]:
        """One incident for each bad step, in the order in which they occurred."""

    @property
    def num_steps(self) -> int:
        """Training steps of all models so far."""

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know of the run, beside the incidents."""

    @property
    def was_aborted(self) -> bool:
        """Whether Ctrl-C has ended an explanation without an incident."""

    def install(self) -> None:
        """Guard every model that trains from now on; called once Keras is imported."""

    def watch_torch(self) -> None:
        """Guard every loop over `torch.optim` from now on; called once PyTorch is imported."""

    def check_loops(self) -> None:
        """Read what steps of the program's own have left unread; `NonFiniteError` at a bad one."""

    def say_bad_losses(self) -> None:
        """Print how many losses were not finite beside finite gradients, if more than one."""

    def report_loops(self) -> None:
        """Read them, and print the report of a bad step."""

    def writing(self) -> AbstractContextManager[None]:
        """The block writes the files of the run, after those of a process with the report."""

    def with_reports(self) -> Sequence[Incident]:
        """The incidents, with those of other processes in the place of lines about them."""

    @property
    def has_reported(self) -> bool:
        """Whether a bad step was reported where no error could be raised."""

    @property
    def has_unguarded(self) -> bool:
        """Whether the user was told of updates that are not guarded."""

    def guard_spawned(self, under_guard: Callable[[Function], Function]) -> None:
        """Have PyTorch call functions in processes of their own as `under_guard` gives them."""

    def guard_started(self, launcher: str, command: Sequence[str]) -> None:
        """Have the processes of a training started by `command`, which guards them as well.

        Called once the module `launcher`, which starts them, is imported.
        """

    def watch_jax(self) -> None:
        """Guard every step under `jax.jit` that applies an optimizer, from now on.

        Called once JAX is imported, and again after each library that it works with.
        """


Function = Callable[..., object]
Say = Callable[[str], None]
NewSession = Callable[[Policy, Path, str | None, Say, bool], GuardedSession]


def guard_session(
    policy: Policy,
    keep: Path,
    script: str | None,
    say: Say,
    unguarded_ok: bool,
    *,
    log: bool,
    strict: bool,
) -> GuardedSession:
    """The guard of a run, as `NewSession` makes it."""
    # Imported here, because the program has to import Keras or PyTorch first.
    from stayfinite.guard import session

    return session.GuardSession(policy, keep, script, say, unguarded_ok, log, strict)
