"""Programs forked from a process that has loaded Keras, which takes seconds to load.

Where Keras is not installed, it has loaded PyTorch.

For tests of what a program does, not of how a process starts.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from zoo.pool import WarmProcess

Done = subprocess.CompletedProcess[str]


def stayfinite(folder: Path, *arguments: str, timeout: float = 240) -> Done:
    """Run the command in `folder`. What it printed on both streams is in `stderr`."""
    return _run(folder, ("-m", "stayfinite", *arguments), timeout)


def script(folder: Path, *arguments: str, timeout: float = 240) -> Done:
    """Run a script of `folder` with arguments. What it printed on both streams is in `stderr`."""
    return _run(folder, arguments, timeout)


def python(folder: Path, text: str, timeout: float = 240) -> Done:
    """Run `text` as a script in `folder`. What it printed on both streams is in `stderr`."""
    written = folder / "forked.py"
    written.write_text(text, encoding="utf-8")
    done = _run(folder, (written.name,), timeout)
    written.unlink()
    return done


def _run(folder: Path, command: tuple[str, ...], timeout: float) -> Done:
    printed = folder / "printed.txt"
    printed.touch()
    code = _process().run(command, folder, {}, str(printed), timeout)
    assert code is not None, f"{' '.join(command)} took more than {timeout} seconds"
    text = printed.read_text(encoding="utf-8")
    printed.unlink()
    return subprocess.CompletedProcess(command, code, "", text)


@functools.cache
def _process() -> WarmProcess:
    variables = dict(os.environ)
    if importlib.util.find_spec("keras") is None:
        variables.setdefault("ZOO_BACKEND", "plain-torch")
    return WarmProcess(sys.executable, variables)
