"""A unified diff, applied to a script as a user applies it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")


class CannotApply(ValueError):
    """The diff does not fit the script; one line says where."""


def apply_diff(diff: str, script: Path) -> None:
    """Change `script` in place. Every line that the diff keeps or takes away must be there.

    Raises:
        CannotApply: it is not.
    """
    if shutil.which("patch") is None:
        lines = script.read_text(encoding="utf-8").splitlines(keepends=True)
        script.write_text("".join(patched(lines, diff)), encoding="utf-8")
        return
    done = subprocess.run(
        ["patch", "--batch", "--fuzz=0", "--strip=0", script.name],
        input=diff if diff.endswith("\n") else diff + "\n",
        cwd=script.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stdout.split())
        raise CannotApply(f"`patch` does not take the diff: {said[:200]}")


def patched(lines: list[str], diff: str) -> list[str]:
    """The lines after the diff, for where there is no `patch`.

    Raises:
        CannotApply: a line of the diff is not where it should be.
    """
    result: list[str] = []
    done = 0  # lines of the original that are in the result or taken away
    body = diff.splitlines(keepends=True)
    begun = False
    for line in body:
        hunk = _HUNK.match(line)
        if hunk:
            begun = True
            # A hunk that only adds names the line before it.
            start = int(hunk[1]) - (0 if hunk[2] == "0" else 1)
            result += lines[done:start]
            done = start
        elif begun and line.startswith("+"):
            result.append(line[1:])
        elif begun and line.startswith((" ", "-")):
            if lines[done : done + 1] != [line[1:]]:
                raise CannotApply(f"the diff does not fit line {done + 1}: {line[1:].strip()!r}")
            result += [line[1:]] if line.startswith(" ") else []
            done += 1
    if not begun:
        raise CannotApply("the diff has no hunk")
    return result + lines[done:]
