"""`stayfinite run`: a program under the guard, from its first line to its exit code."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from stayfinite.errors import CannotGuardError, NonFiniteError
from stayfinite.guard.policy import MAX_BAD_STEPS, POLICIES, Policy
from stayfinite.incident import Incident
from stayfinite.runner import endings
from stayfinite.runner.console import is_terminal, report_for, say, say_line, say_repairs
from stayfinite.runner.keras_import import ON_JAX, after_import, import_failure
from stayfinite.runner.outputs import RunFile, RunPage, check_distinct, check_writable
from stayfinite.runner.program import UserProgram
from stayfinite.runner.session import (
    Function,
    GuardedSession,
    NewSession,
    Program,
    RunOptions,
    guard_session,
)

__all__ = ["MAX_BAD_STEPS", "POLICIES", "GuardedRun"]

NON_FINITE = 3
USAGE = 2
# What a shell reports for a program that Ctrl-C has ended.
INTERRUPTED = 130
# Modules of Lightning that start the script again, once for each further process of a training.
LAUNCHERS = tuple(
    f"{package}.strategies.launchers.subprocess_script"
    for package in (
        "lightning.fabric",
        "lightning.pytorch",
        "lightning_fabric",
        "pytorch_lightning",
    )
)

_NOTHING_SEEN = (
    "stayfinite: no training step that it can guard ran, so nothing was guarded; to guard a "
    "training loop of your own, wrap its step in stayfinite.guarded"
)


class GuardedRun:
    """One guarded run of a program in this process; call it once.

    The constructor checks `keep`, `json` and `html` and starts nothing.

    Args:
        program: The program to run.
        policy: What the guard does at a bad step.
        max_bad_steps: So many bad steps in a row end the training under every policy.
        keep: Folder for incidents and last good weights.
        json: Path of the run file, or None for no run file.
        html: Path of the page of the run, or None for no page.
        unguarded_ok: Run a training that the guard cannot attach to, after a line about it.
        log_metrics: Add to the logs of each epoch, as `Guard(log=True)` does.
        strict: Whether a step of plain PyTorch is bad whose loss alone is not finite.
        passed_on: Arguments of the program with the names of options of `stayfinite run`; a line at
            the end of a run that did not succeed says where those go.
        new_session: Makes the guard once the program has imported Keras or PyTorch.
        is_spawned: Whether this process was started by another one under the guard.

    Raises:
        UsageError: `keep`, `json` or `html` cannot be written.
    """

    def __init__(
        self,
        program: Program,
        *,
        policy: str = "stop",
        max_bad_steps: int = MAX_BAD_STEPS,
        keep: Path = Path("stayfinite-out"),
        json: Path | None = None,
        html: Path | None = None,
        unguarded_ok: bool = False,
        log_metrics: bool = False,
        strict: bool = False,
        passed_on: Sequence[str] = (),
        new_session: NewSession | None = None,
        is_spawned: bool = False,
    ) -> None:
        script = None if program.is_module else Path(program.target)
        check_distinct({"SCRIPT": script, "--json": json, "--html": html})
        check_writable(keep)
        self._program = program
        self._policy = Policy(policy, max_bad_steps)
        # Absolute, because the program may change its working directory.
        self._keep = keep.absolute()
        self._file = RunFile(json)
        self._page = RunPage(html, program.target)
        self._unguarded_ok = unguarded_ok
        self._passed_on = passed_on
        self._new_session = new_session or functools.partial(
            guard_session, log=log_metrics, strict=strict
        )
        self._options = RunOptions(
            policy=policy,
            max_bad_steps=max_bad_steps,
            keep=self._keep,
            json=None if json is None else json.absolute(),
            html=None if html is None else html.absolute(),
            unguarded_ok=unguarded_ok,
            log_metrics=log_metrics,
            strict=strict,
        )
        self._session: GuardedSession | None = None
        self._pid = os.getpid()
        self._is_spawned = is_spawned
        self._has_spawned = False

    def __call__(self) -> int:
        """Run the program and return its exit code, or 3 if a `NonFiniteError` ended it.

        Raises:
            BaseException: The exception that ended the program, `SystemExit` included; the
                interpreter handles it as under plain Python.
        """
        after_import("keras", lambda: self._guard(lambda session: session.install()))
        after_import("torch", lambda: self._guard(self._watch_torch))
        for library in ON_JAX:
            after_import(library, lambda: self._guard(lambda session: session.watch_jax()))
        # The program has arguments of its own in `sys.orig_argv` while it runs.
        command = (sys.executable, *sys.orig_argv[1:])
        for launcher in LAUNCHERS:
            after_import(launcher, functools.partial(self._guard_started, launcher, command))
        try:
            self._execute()
        except NonFiniteError as error:
            if is_terminal(sys.stderr):
                # The progress bar of Keras has left its line open.
                say(f"\n{report_for(sys.stderr, error.incident)}")
            else:
                say(str(error))
            if self._session is not None:
                # Of a program with several guarded steps.
                self._session.report_loops()
            return self._end(NON_FINITE)
        except CannotGuardError as error:
            say_line(str(error))
            return self._end(USAGE)
        except SystemExit as error:
            self._end(endings.code_of_exit(error))
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._was_aborted:
                return self._end(INTERRUPTED)
            if self._has_spawned and was_stopped(error):
                return self._end(NON_FINITE)
            reason = import_failure(error)
            if reason is not None:
                say_line(reason)
                return self._end(USAGE)
            if isinstance(error, Exception) and self._session is not None:
                # The program may have raised its error because of a bad step.
                self._session.report_loops()
            self._page.prepare()
            endings.leave(UserProgram.execute.__code__, self._end)
            raise
        return self._end(
            NON_FINITE if self._session is not None and self._session.has_reported else 0
        )

    def _execute(self) -> None:
        """Run the program, and read what its own loops have left unread."""
        try:
            self._program.execute()
        except SystemExit as error:
            if self._session is None:
                raise
            if endings.code_of_exit(error):
                self._session.report_loops()
                raise
            self._session.check_loops()
            if not self._session.has_reported:
                raise
            return
        if self._session is not None:
            self._session.check_loops()

    @property
    def _was_aborted(self) -> bool:
        return self._session is not None and self._session.was_aborted

    def _guard(self, install: Callable[[GuardedSession], None]) -> None:
        if self._session is None:
            script = None if self._program.is_module else self._program.target
            arguments = (self._policy, self._keep, script or _main_file())
            self._session = self._new_session(*arguments, say_line, self._unguarded_ok)
        try:
            install(self._session)
        except CannotGuardError as error:
            if self._unguarded_ok:
                say_line(f"{error}; this program runs unguarded")
                return
            # This ends the import in the program, before an unguarded training starts.
            say_line(str(error))
            raise SystemExit(USAGE) from None

    def _watch_torch(self, session: GuardedSession) -> None:
        session.watch_torch()
        session.guard_spawned(self._under_guard)

    def _under_guard(self, function: Function) -> Function:
        """`function` for a process of its own."""
        from stayfinite.runner.spawned import SpawnedFunction

        self._has_spawned = True
        return SpawnedFunction(
            function, self._program.target, self._program.is_module, self._options
        )

    def _guard_started(self, launcher: str, command: Sequence[str]) -> None:
        self._guard(lambda session: session.guard_started(launcher, command))

    def _end(self, code: int) -> int:
        # A forked child that reaches the end of the script must not write the run file.
        if os.getpid() != self._pid:
            return code
        num_steps = 0
        incidents: tuple[Incident, ...] = ()
        notes: tuple[str, ...] = ()
        if self._session is not None:
            num_steps, incidents = self._session.num_steps, tuple(self._session.incidents)
            notes = tuple(self._session.notes)
        is_of_others = self._is_spawned or (self._has_spawned and code in (0, NON_FINITE))
        if is_of_others and num_steps == 0 and not incidents:
            # The processes that train write the files.
            return code
        in_turn = contextlib.nullcontext() if self._session is None else self._session.writing()
        with in_turn:
            self._write(code, num_steps, incidents, notes)
        if self._session is not None:
            self._session.say_bad_losses()
        say_repairs(incidents)
        if self._passed_on and code in (USAGE, NON_FINITE):
            names, target = " and ".join(self._passed_on), self._program.target
            say_line(f"{names} went to {target}; options of stayfinite go before {target}")
        has_told = self._session is not None and self._session.has_unguarded
        if code == 0 and num_steps == 0 and not incidents and not has_told:
            say(_NOTHING_SEEN)
        return code

    def _write(
        self, code: int, num_steps: int, incidents: Sequence[Incident], notes: Sequence[str]
    ) -> None:
        shared = () if self._session is None else self._session.with_reports()
        try:
            self._file.write(code, num_steps, incidents, notes, shared)
        except OSError as error:
            say(f"stayfinite: the run file could not be written: {error}")
        try:
            self._page.write(code, num_steps, incidents, shared)
        except OSError as error:
            say(f"stayfinite: the page could not be written: {error}")


def was_stopped(error: BaseException) -> bool:
    """Whether `torch.multiprocessing` raises `error` because a bad step has ended a process."""
    is_end = type(error).__name__ == "ProcessExitedException"
    return is_end and getattr(error, "exit_code", None) == NON_FINITE


def _main_file() -> str | None:
    return getattr(sys.modules["__main__"], "__file__", None)
