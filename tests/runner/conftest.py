"""The same program under plain Python and under `stayfinite run`, side by side."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

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


def launch(*command: str, **options: object) -> Done:
    """Run a command as a user would: nothing of the test process in its environment."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    options = {"capture_output": True, **options}
    return subprocess.run(command, text=True, timeout=60, env=environment, **options)  # type: ignore[call-overload]


def without_notes(text: str) -> str:
    """Standard error less the lines that are ours."""
    return "".join(line for line in text.splitlines(True) if not line.startswith("stayfinite:"))


def assert_alike(*args: str, how: str = "command", **options: object) -> Done:
    """Run `args` both ways, compare all that a user or a shell sees, and return the plain one."""
    plain = launch(sys.executable, *args, **options)
    ours = launch(*LAUNCHES[how], *args, **options)
    assert ours.stdout == plain.stdout
    assert without_notes(ours.stderr or "") == (plain.stderr or "")
    assert ours.returncode == plain.returncode
    return plain
