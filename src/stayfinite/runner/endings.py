"""The end of a program: its exit code, and its traceback without the frames of stayfinite.

An exception that ends the program leaves `main` of stayfinite, and the interpreter handles it: it
calls `sys.excepthook` and exits with code 1, or dies by the signal for a `KeyboardInterrupt`. The
frames of stayfinite have to be removed from the traceback, which is complete only when the
interpreter calls `sys.excepthook`. So the hook is replaced for that one call.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any

_in_use: object = None
_OURS = str(Path(__file__).resolve().parents[1]) + os.sep


def code_of_exit(error: SystemExit) -> int:
    """Return the exit status of the process for a `sys.exit(...)`."""
    if error.code is None:
        return 0
    # The operating system keeps one byte: sys.exit(-1) is 255. Other objects are printed.
    return error.code & 0xFF if isinstance(error.code, int) else 1


def leave(own: CodeType, end: Callable[[int], object]) -> None:
    """Prepare for the current exception to end the process; the caller raises it again.

    Args:
        own: Code of the frame that called the program; the frames up to it are removed.
        end: Called with the exit code after the exception has been printed.
    """
    # Kept in a global: the interpreter holds no reference to the hook during the call, and the
    # call restores the previous hook.
    global _in_use
    _in_use = sys.excepthook = _LastHook(sys.excepthook, own, end)


class _LastHook:
    """The `sys.excepthook` of the exception that ended the program."""

    def __init__(
        self, hook: Callable[..., Any], own: CodeType, end: Callable[[int], object]
    ) -> None:
        self._hook = hook
        self._own = own
        self._end = end

    def __call__(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        # Exit handlers and threads that are still running see the hook of the program.
        sys.excepthook = self._hook
        code = _code_of_interrupt() if kind is KeyboardInterrupt else 1
        sys.last_traceback = error.__traceback__ = trace = _without(self._own, trace)
        try:
            self._hook(kind, error, trace)
        except SystemExit as exit_:
            code = code_of_exit(exit_)
            raise
        except BaseException as broken:
            _show_broken_hook(broken, error)
        finally:
            self._end(code)
            if kind is KeyboardInterrupt:
                _note_interrupt()


def _code_of_interrupt() -> int:
    """The exit code of Ctrl-C as `subprocess` gives it: minus the signal.

    A process that has the signal blocked does not die by it; the interpreter exits with 130 then.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    return 128 + signal.SIGINT if signal.SIGINT in blocked else -signal.SIGINT


def _note_interrupt() -> None:
    """Have the interpreter die by the signal.

    It does so if the last code that it compiled from a string ended with this exception, and `end`
    may import modules that compile such code, as every dataclass does.
    """
    with contextlib.suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")


def _without(own: CodeType, trace: TracebackType | None) -> TracebackType | None:
    """Return `trace` from the frame below `own` on, or all of it if `own` is not in it.

    Frames of the guard, which lie between Keras and a data set that raises, are removed as well.
    """
    entries = []
    entry = trace
    while entry is not None:
        entries.append(entry)
        if entry.tb_frame.f_code is own:
            entries.clear()
        entry = entry.tb_next
    below: TracebackType | None = None
    for entry in reversed(entries):
        if not entry.tb_frame.f_code.co_filename.startswith(_OURS):
            below = TracebackType(below, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return below


def _show_broken_hook(broken: BaseException, error: BaseException) -> None:
    """Print what the interpreter prints when `sys.excepthook` raises, without our frame."""
    if broken.__traceback__ is not None:
        broken.__traceback__ = broken.__traceback__.tb_next
    print("Error in sys.excepthook:", file=sys.stderr)
    sys.__excepthook__(type(broken), broken, broken.__traceback__)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(error), error, error.__traceback__)
