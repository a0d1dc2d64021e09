"""The folder of incidents and last good weights, looked at before the training starts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from stayfinite.errors import UsageError


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
