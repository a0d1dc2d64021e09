"""Where in a video and in its frames a clip is cut out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cut:
    """Fractions from 0 to 1 of the room there is in time, from the top and from the left."""

    time: float = 0.5
    top: float = 0.5
    left: float = 0.5
    is_mirrored: bool = False

    @classmethod
    def drawn(cls, random: np.random.Generator, flip: bool) -> Cut:
        """A random place; half of the clips are mirrored if `flip`."""
        time, top, left, coin = random.random(4)
        return cls(time, top, left, flip and coin < 0.5)

    def frame_numbers(self, num_frames: int, length: int, stride: int) -> list[int]:
        """The frames of the clip; a video that is too short begins again at its end."""
        start = _at(self.time, num_frames - span(length, stride))
        return [(start + n * stride) % num_frames for n in range(length)]

    def window(self, clip: np.ndarray, height: int, width: int) -> np.ndarray:
        """A view of `clip`, `(frames, height, width, 3)`."""
        top = _at(self.top, clip.shape[1] - height)
        left = _at(self.left, clip.shape[2] - width)
        cut = clip[:, top : top + height, left : left + width]
        return cut[:, :, ::-1] if self.is_mirrored else cut


def span(length: int, stride: int) -> int:
    """The frames from the first to the last of a clip."""
    return (length - 1) * stride + 1


def _at(fraction: float, room: int) -> int:
    """A position from 0 to `room`, each as likely as the others for a random fraction."""
    return min(int(fraction * (room + 1)), room) if room > 0 else 0
