import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# The trainings' sizes are chosen so that a whole one takes seconds.
SMALL_VIDEOS = ("--size", "16", "--resize", "16", "--clip-length", "4", "--no-flip")


def stayfinite(*arguments, cwd, code=0):
    """Run the command as a user does; returns what it printed on both streams."""
    command = [sys.executable, "-m", "stayfinite", *map(str, arguments)]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    assert ended.returncode == code, ended.stdout[-3000:] + ended.stderr[-3000:]
    return ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Six classes of five short videos each."""
    folder = tmp_path_factory.mktemp("videos")
    make = EXAMPLES / "motion_videos.py"
    options = ["--per-class", "5", "--frames", "8", "--side", "32"]
    subprocess.run([sys.executable, str(make), str(folder), *options], check=True)
    return folder


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The handwritten digits of scikit-learn as files, a folder a class."""
    folder = tmp_path_factory.mktemp("digits")
    subprocess.run([sys.executable, str(EXAMPLES / "digit_images.py"), str(folder)], check=True)
    return folder
