"""How a program ended: its exit code, and its traceback as the interpreter would have printed it.

An exception that ends the program is not printed here. It leaves our `main`, and the interpreter
does with it what it always does: `sys.excepthook`, exit code 1, for a `KeyboardInterrupt` death by
the signal. Only our frames have to go, and they are all on the traceback only when the interpreter
calls `sys.excepthook`. So for that one call, the hook is ours.
"""

from __future__ import annotations

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
    """The exit status that the interpreter makes of `sys.exit(...)`."""
    if error.code is None:
        return 0
    # The operating system keeps one byte: sys.exit(-1) is 255. Anything but a number is printed.
    return error.code & 0xFF if isinstance(error.code, int) else 1


def leave(own: CodeType, end: Callable[[int], object]) -> None:
    """Get ready for the current exception to leave the process; the caller raises it again.

    Args:
        own: Code of our frame that called the program; frames up to it are cut off.
        end: Called with the exit code once the exception has been printed.
    """
    # The interpreter does not own the hook while it calls it, and the call puts the old one back.
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
        # Exit handlers and late threads see the hook that the program had.
        sys.excepthook = self._hook
        # The exit code of Ctrl-C, as `subprocess` gives it: minus the signal.
        code = -signal.SIGINT if kind is KeyboardInterrupt else 1
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


def _without(own: CodeType, trace: TracebackType | None) -> TracebackType | None:
    """`trace` from the frame below `own` on, or all of it where `own` is not on it.

    The guard's frames, between Keras and data that raises, are left out as well.
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
    """What the interpreter prints when `sys.excepthook` itself raises; less our frame."""
    if broken.__traceback__ is not None:
        broken.__traceback__ = broken.__traceback__.tb_next
    print("Error in sys.excepthook:", file=sys.stderr)
    sys.__excepthook__(type(broken), broken, broken.__traceback__)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(error), error, error.__traceback__)
