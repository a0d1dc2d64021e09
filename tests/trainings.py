"""Whole trainings with the command, small enough to take seconds."""

from pathlib import Path

from tests import warm

SMALL_VIDEOS = (
    *("--size", "16", "--resize", "16", "--clip-length", "4", "--no-flip"),
    *("--filters", "4", "--batch-size", "24"),
)


def stayfinite(*arguments, cwd, code=0):
    """Run the command in `cwd`; returns what it printed on both streams."""
    ended = warm.stayfinite(Path(cwd), *map(str, arguments), timeout=600)
    assert ended.returncode == code, ended.stderr[-3000:]
    return ended.stderr
