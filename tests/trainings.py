"""Whole trainings, started as a user starts them."""

import subprocess
import sys

# The trainings' sizes are chosen so that a whole one takes seconds.
SMALL_VIDEOS = ("--size", "16", "--resize", "16", "--clip-length", "4", "--no-flip")


def stayfinite(*arguments, cwd, code=0):
    """Run the command as a user does; returns what it printed on both streams."""
    command = [sys.executable, "-m", "stayfinite", *map(str, arguments)]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert ended.returncode == code, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout + ended.stderr
