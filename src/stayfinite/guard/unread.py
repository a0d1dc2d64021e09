"""Flags of guarded loops that are unread when a loop is deleted or the program ends."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import TYPE_CHECKING

from stayfinite.errors import NonFiniteError

if TYPE_CHECKING:
    from stayfinite.guard.loop import WatchedLoop


class UnreadFlags:
    """The loops of this process that may end without `check`.

    Attributes:
        has_reported: Whether a bad step was reported where no error could be raised.
    """

    def __init__(self) -> None:
        self.has_reported = False
        # Weak, as a loop leads to the user's step, and so may a step to its guard.
        self._loops: weakref.WeakSet[WatchedLoop] = weakref.WeakSet()
        self._process: int | None = None

    def follow(self, loop: WatchedLoop) -> None:
        """Read the flags of `loop` when the program ends, if it is still there."""
        if self._process != os.getpid():
            # A forked child must not use the device of its parent.
            self._process, self._loops = os.getpid(), weakref.WeakSet()
            # Python refuses its first import at exit, where an explanation may need it.
            import concurrent.futures.thread  # noqa: F401

            # Exit handlers run in reverse order: this one before those of the framework, which
            # is imported by now. Those of `weakref.finalize` may be older than the framework.
            atexit.register(self.report)
        self._loops.add(loop)

    def check(self) -> None:
        """Read every flag.

        Raises:
            NonFiniteError: a step was bad.
        """
        for loop in self._followed():
            loop.check()

    def report(self) -> None:
        """Read every flag when the program ends, and print the report of a bad step."""
        for loop in self._followed():
            self._report(loop)
        self._process = None

    def _followed(self) -> list[WatchedLoop]:
        return list(self._loops) if self._process == os.getpid() else []

    def gone(self, loop: WatchedLoop) -> None:
        """`loop` is being deleted: read its flags now."""
        # A weak set does not show a loop that is deleted.
        if self._process is None:
            return  # after the exit handlers, where the names of this module may be None
        if self._process == os.getpid() and not sys.is_finalizing():
            self._report(loop)

    def _report(self, loop: WatchedLoop) -> None:
        try:
            loop.check()
        except NonFiniteError as error:
            self.has_reported = True
            print(error, file=sys.stderr)


UNREAD = UnreadFlags()
