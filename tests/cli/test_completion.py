"""`stayfinite completion` prints a script, and the command answers it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stayfinite.cli import main
from stayfinite.cli.completion import SHELLS

# bash asks for the completions of a line as it does after TAB.
ASK = """
eval "$(stayfinite completion bash)"
COMP_WORDS=(stayfinite {words}); COMP_CWORD={last}
_stayfinite_completion stayfinite
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_script(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_STAYFINITE_COMPLETE" in script
    assert shutil.which(shell) is None or is_accepted(shell, script)


def is_accepted(shell: str, script: str) -> bool:
    return subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("re", ["replay"]),
        ("rule singular", ["singular-gradient"]),
        ("run --policy r", ["rollback", "repair"]),
        ("train r", ["resnet3d"]),
    ],
)
def test_completions(words, expected, tmp_path):
    command = tmp_path / "stayfinite"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m stayfinite "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    asked = subprocess.run(
        ["bash", "-c", ASK.format(words=words, last=len(words.split()))],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        cwd=Path(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert asked.stdout.split() == expected


def test_unknown_shell(capsys):
    assert main(["completion", "csh"]) == 2
    assert "csh" in capsys.readouterr().err


def test_missing_shell(capsys):
    assert main(["completion"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "Missing argument 'SHELL'" in line
    assert "Choose from: bash, zsh, fish. See: stayfinite completion --help" in line
