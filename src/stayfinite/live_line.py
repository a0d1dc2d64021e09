"""One line on a terminal that changes while the user waits, and is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

_SECONDS = 0.5


class LiveLine:
    """Shows `text(width)` on `stream` twice a second inside its block, if `stream` is a terminal.

    The first line comes after half a second. It is made of carriage returns and blanks, which every
    terminal supports; on one that overwrites nothing (`TERM=dumb`), nothing is shown.

    Args:
        stream: A text stream, or None.
        text: Returns the line of the moment, in ASCII, for so many columns; a longer one is cut.
            Called in another thread.
    """

    def __init__(self, stream: TextIO | None, text: Callable[[int], str]) -> None:
        self._stream = stream
        self._text = text
        self._over = threading.Event()
        self._num_shown = 0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> LiveLine:
        if _can_overwrite(self._stream):
            thread = threading.Thread(target=self._show, daemon=True)
            # No thread starts while the interpreter shuts down.
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        self._over.set()
        self._thread.join()
        self._write(f"\r{' ' * self._num_shown}\r")

    def _show(self) -> None:
        start = "\n"  # a progress bar may have left its line open
        while not self._over.wait(_SECONDS):
            width = _columns(self._stream) - 1
            text = self._text(width)[:width]
            self._write(start + text.ljust(self._num_shown))
            start, self._num_shown = "\r", len(text)

    def _write(self, text: str) -> None:
        # The program may close its stream meanwhile.
        with contextlib.suppress(OSError, ValueError):
            if self._num_shown or not self._over.is_set():
                assert self._stream is not None
                self._stream.write(text)
                self._stream.flush()


def _can_overwrite(stream: TextIO | None) -> bool:
    if stream is None or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _columns(stream: TextIO | None) -> int:
    try:
        return os.get_terminal_size(stream.fileno() if stream is not None else -1).columns or 80
    except (OSError, ValueError):
        return 80
