"""Whole trainings with the command, small enough to take seconds."""

from pathlib import Path

from tests import warm

SMALL_VIDEOS = (
    *("--size", "16", "--resize", "16", "--clip-length", "4", "--no-flip"),
    # An epoch of one step: the update of 33 million weights takes longest.
    *("--batch-size", "24"),
    # Faster to draw than a truncated normal distribution.
    *("--kernel-initializer", "he_uniform"),
)


def stayfinite(*arguments, cwd, code=0):
    """Run the command in `cwd`; returns what it printed on both streams."""
    ended = warm.stayfinite(Path(cwd), *map(str, arguments), timeout=600)
    assert ended.returncode == code, ended.stderr[-3000:]
    return ended.stderr
