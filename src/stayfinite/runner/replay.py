"""`stayfinite replay`: the saved step of an incident, run again with the script or without it."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from stayfinite.errors import UsageError
from stayfinite.runner.console import encodable, say
from stayfinite.runner.keras_import import after_import, import_failure
from stayfinite.runner.outputs import check_file, put_file
from stayfinite.runner.program import UserProgram

if TYPE_CHECKING:
    from stayfinite.frameworks.change import Change
    from stayfinite.frameworks.failure import Failure
    from stayfinite.frameworks.subject import Subject
    from stayfinite.replay.changes import ReplayChange
    from stayfinite.replay.patched_program import PatchedFile
    from stayfinite.replay.saved_step import SavedStep
    from stayfinite.report.replayed import Replayed

FINITE, USAGE, NON_FINITE = 0, 2, 3


class ReplayRun:
    """One replay in this process; call it once.

    The constructor reads the incident and checks the options; it starts nothing.

    Args:
        incident: The folder of the incident.
        program: The training script, or None to make the model of its config.
        changes: What to change, as `replay.changes.parse` reads it.
        step_from: Folders or files to take other state or data from.
        times: How often the step is run.
        json: File for the result, or None.

    Raises:
        UsageError: The incident or an option cannot be used.
    """

    def __init__(
        self,
        incident: Path,
        program: UserProgram | None,
        *,
        changes: tuple[str, ...] = (),
        step_from: tuple[Path, ...] = (),
        times: int = 1,
        json: Path | None = None,
    ) -> None:
        # Imported here, because `stayfinite run` does not need them.
        from stayfinite.replay import changes as texts
        from stayfinite.replay.patched_program import patched_file
        from stayfinite.replay.saved_step import read_step

        check_file("--json", json)
        self._saved: SavedStep = read_step(incident)
        parsed: list[ReplayChange] = [texts.parse(text, self._saved.incident) for text in changes]
        for path in step_from:
            self._saved = self._saved.from_other(path)
        self._changes: list[Change]
        self._changes, self._last = texts.last(parsed)
        self._words = (*changes, *(f"--step-from {path}" for path in step_from))
        self._times = times
        # Absolute, because the program may change its working directory.
        self._json = None if json is None else json.absolute()
        self._folder = str(incident.absolute())
        self._program = program
        self._script_ended: Callable[[], object] = lambda: None
        self._patched: PatchedFile | None = None
        fix = self._saved.incident.fix
        if any(isinstance(change, texts.PatchedSource) for change in parsed):
            if program is None:
                raise UsageError("--change source: the diff is of a script; pass it with --script")
            assert fix is not None and fix.diff is not None
            self._patched = patched = patched_file(fix.diff, program.target)
            if Path(os.path.realpath(program.target)) == patched.path:
                self._program = dataclasses.replace(program, content=patched.content)
                patched.was_run = True
            patched.in_place(str(Path.cwd() / program.target))

    def __call__(self) -> int:
        """Run the step, print the result, and return 0 if it is finite and 3 if not.

        With a script the process ends with this code at the step, before a line of the script
        follows: what a script does at its end is not for a training that has not been made.

        Raises:
            UsageError: The step cannot be run.
        """
        if self._program is None:
            if self._saved.record.loop is not None:
                raise UsageError(
                    "the incident is of a training without Keras, whose step is code of your own; "
                    "pass the training script with --script"
                )
            from stayfinite.replay.run import replay, require_backend
            from stayfinite.replay.without_script import rebuilt

            require_backend(self._saved)
            subject = rebuilt(self._saved)
            return self._show(replay(subject, self._saved, self._changes, self._last, self._times))
        is_plain = self._saved.record.loop is not None
        if is_plain:
            after_import(self._saved.incident.backend, self._install_plain)
        else:
            after_import("keras", self._install)
        try:
            self._program.execute()
        except SystemExit as error:
            reason = f"ended with code {error.code!r:.40}"
        except Exception as error:
            failed = import_failure(error)
            if isinstance(error, UsageError):
                failed = str(error)
            if failed is not None:
                raise UsageError(failed) from None
            message = " ".join(str(error).split())
            reason = f"ended with {type(error).__name__}: {message:.300}"
        else:
            reason = "ended"
        self._script_ended()
        raise UsageError(
            f"{self._program.target}: the script {reason} before a training that the incident is of"
        )

    def _install(self) -> None:
        from stayfinite.replay.run import require_backend
        from stayfinite.replay.session import ReplaySession

        try:
            require_backend(self._saved)
        except UsageError as error:
            self._leave(error)
        session = ReplaySession(self._saved, self._found, self._refuse, _skipped)
        self._script_ended = session.others.ended
        session.install()

    def _install_plain(self) -> None:
        from stayfinite.replay.plain_session import PlainReplaySession

        session = PlainReplaySession(self._saved, self._found_plain, self._refuse, _skipped)
        self._script_ended = session.others.ended
        session.install()

    def _found(self, subject: Subject) -> NoReturn:
        from stayfinite.replay.run import replay

        self._end(lambda: replay(subject, self._saved, self._changes, self._last, self._times))

    def _found_plain(self, first: Failure) -> NoReturn:
        from stayfinite.replay.plain_step import replay_plain

        self._end(lambda: replay_plain(first, self._saved, self._changes, self._last, self._times))

    def _end(self, run: Callable[[], Replayed]) -> NoReturn:
        try:
            code = self._show(run())
        except UsageError as error:
            self._leave(error)
        _exit(code)

    def _refuse(self, reason: str) -> NoReturn:
        self._leave(UsageError(f"the model of the script is not that of the incident: {reason}"))

    def _leave(self, error: UsageError) -> NoReturn:
        from stayfinite.report.lines import clean_name

        say(f"stayfinite: {clean_name(str(error))}")
        _exit(USAGE)

    def _show(self, found: Replayed) -> int:
        from stayfinite.report.replayed import replayed_json, replayed_text

        incident = self._saved.incident
        # Only now, because a function of the step may import the file.
        if self._patched is not None and not self._patched.was_run:
            raise UsageError(
                f"--change source: the diff is of {self._patched.path}, which this script does not "
                "use; pass the script of the incident with --script"
            )
        if self._json is not None:
            told = replayed_json(self._folder, incident, self._words, found)
            put_file("--json", self._json, told)
        print(encodable(replayed_text(incident, self._words, found), sys.stdout), flush=True)
        return FINITE if all(found.finite) else NON_FINITE


def _skipped(name: str, reason: str) -> None:
    from stayfinite.report.lines import clean_name

    say(
        f"stayfinite: the training of {clean_name(name)!r} is not that of the incident "
        f"({clean_name(reason)})"
    )


def _exit(code: int) -> NoReturn:
    """End the process here: no handler of the script may save what has not been trained."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
