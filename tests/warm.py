"""`stayfinite` as a command, forked from a process that has loaded Keras: it loads for seconds."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from zoo.pool import WarmProcess


def stayfinite(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder`. What it printed on both streams is in `stderr`."""
    printed = folder / "printed.txt"
    printed.touch()
    command = ("-m", "stayfinite", *arguments)
    code = _process().run(command, folder, {}, str(printed), timeout=240)
    assert code is not None, f"{' '.join(arguments)} took too long"
    text = printed.read_text(encoding="utf-8")
    printed.unlink()
    return subprocess.CompletedProcess(command, code, "", text)


@functools.cache
def _process() -> WarmProcess:
    return WarmProcess(sys.executable, os.environ)
