from __future__ import annotations

import pytest

from tests.networks.data import videos


@pytest.fixture
def two_classes(tmp_path):
    """Seven videos without loss: frame n of the k-th of them is red 20 * k + n."""
    for k in range(7):
        folder = tmp_path / "videos" / ("left" if k < 3 else "right")
        folder.mkdir(parents=True, exist_ok=True)
        videos.write(folder / f"{k}.mkv", videos.numbered(20, start=20 * k))
    return tmp_path / "videos"
