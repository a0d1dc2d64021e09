"""X"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stayfinite.errors import UsageError
from stayfinite.incident import Incident


def check_writable(folder: Path) -> None:
    """See whether `folder`, or the folder it would be made in, can be written.

    Nothing is made: a run without an incident leaves no folder behind.

    Raises:
        UsageError: it cannot.
    """
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        # Permission bits do not tell: the file system may be read-only, the user may be root.
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UsageError(
            f"--keep {folder}: {error.strerror}; pass a folder that can be written"
        ) from None


# In the file while the program runs, and for good when it was killed or left through `os._exit`.
UNFINISHED = -1


class RunFile:
    """The file at `path`; without a path, nothing is written.

    Opened before the program starts, so that a bad path is found then, and a program that is
    killed leaves a file too.

    Raises:
        UsageError: `path` cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        # Absolute, because the program may change its working directory.
        self._path = None if path is None else path.absolute()
        if self._path is None:
            return
        try:
            if self._path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            # A pipe or device takes one text only, the last.
            if self._path.is_file() or not self._path.exists():
                self.write(UNFINISHED, 0, ())
        except OSError as error:
            raise UsageError(
                f"--json {path}: {error.strerror}; pass a file in a folder that exists and can be "
                "written"
            ) from None

    def write(self, exit_code: int, num_steps: int, incidents: Sequence[Incident]) -> None:
        """Put down what is known of the run, over what was there.

        Args:
            exit_code: As `subprocess` gives it: negative for a signal.
            num_steps: Training steps of all models of the program.
            incidents: In the order they came.
        """
        if self._path is None:
            return
        # Loaded here: only who asked for a run file pays for it.
        from stayfinite.report.json import run_file

        self._path.write_text(run_file(exit_code, num_steps, incidents), encoding="utf-8")
