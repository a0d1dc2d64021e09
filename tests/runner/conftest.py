"""The same program under plain Python and under `stayfinite run`, side by side."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONSOLE_SCRIPT = str(Path(sys.executable).with_name("stayfinite"))
LAUNCHES = {
    "command": [sys.executable, CONSOLE_SCRIPT, "run"],
    "python -m": [sys.executable, "-m", "stayfinite", "run"],
}

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a script `x.py` in a working directory of its own."""
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "x.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    return write


def launch(*command: str, interrupt: int = signal.SIG_UNBLOCK, **options: Any) -> Done:
    """Run a command to its end, with its output as text, and with Ctrl-C as in a terminal.

    A shell starts background jobs with Ctrl-C ignored, other programs start them with its signal
    blocked, and children would inherit that. `interrupt=signal.SIG_BLOCK` blocks it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    mask = signal.pthread_sigmask(interrupt, [signal.SIGINT])
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)


def comparable(text: str) -> str:
    """Standard error without our own lines and without the times in the log of TensorFlow."""
    lines = [line for line in text.splitlines(True) if not line.startswith("stayfinite:")]
    return "".join(re.sub(r"^[IWE]\d{4} [\d:.]+ +\d+ ", "", line) for line in lines)


def assert_alike(*args: str, how: str = "command", **options: Any) -> Done:
    """Run `args` both ways, compare all that a user or a shell sees, and return the plain one."""
    plain = launch(sys.executable, *args, **options)
    ours = launch(*LAUNCHES[how], *args, **options)
    assert ours.stdout == plain.stdout
    assert comparable(ours.stderr) == comparable(plain.stderr)
    assert ours.returncode == plain.returncode
    return plain
