"""The position of a clip in a video and its conversion from uint8 to float32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cut:
    """The position of a clip in time, from the top and from the left, as fractions from 0 to 1.

    0 is the first possible position and 1 the last.
    """

    time: float = 0.5
    top: float = 0.5
    left: float = 0.5
    is_mirrored: bool = False

    @classmethod
    def drawn(cls, random: np.random.Generator, flip: bool) -> Cut:
        """Draw a position; with `flip`, half of the clips are mirrored."""
        time, top, left, coin = random.random(4)
        return cls(time, top, left, flip and coin < 0.5)

    def frame_numbers(self, num_frames: int, length: int, stride: int) -> list[int]:
        """Return the numbers of the frames; a video that is too short is repeated."""
        start = _at(self.time, num_frames - span(length, stride))
        return [(start + n * stride) % num_frames for n in range(length)]

    def window(self, clip: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return a view of `clip` of shape `(frames, height, width, 3)`."""
        top = _at(self.top, clip.shape[1] - height)
        left = _at(self.left, clip.shape[2] - width)
        cut = clip[:, top : top + height, left : left + width]
        return cut[:, :, ::-1] if self.is_mirrored else cut


def span(length: int, stride: int) -> int:
    """Return the number of video frames from the first to the last frame of a clip."""
    return (length - 1) * stride + 1


def _at(fraction: float, room: int) -> int:
    """Return a position from 0 to `room`; a uniform fraction gives uniform positions."""
    return min(int(fraction * (room + 1)), room) if room > 0 else 0


Normalize = str | None | tuple[float | Sequence[float], float | Sequence[float]]


class Normalization:
    """Converts a uint8 clip to float32. No setting divides by zero.

    Args:
        how: `"unit"`: values from 0 to 1. `"clip"`: mean 0 and standard deviation 1 over the clip;
            the divisor is at least 1 / sqrt(number of values), as in
            `tf.image.per_image_standardization`, so a clip of one colour becomes 0. A pair
            `(mean, std)`, each one number or one per channel: of values from 0 to 1, the mean is
            subtracted and the rest divided by the standard deviation. `None`: 0 to 255.

    Raises:
        ValueError: If `how` is none of these, a number is not finite, or a `std` is not above 0.
    """

    def __init__(self, how: Normalize) -> None:
        self._is_by_clip = how == "clip"
        mean, std = np.array(0.0), np.array(1.0)
        if how is None:
            std = std / 255
        elif how not in ("unit", "clip"):
            mean, std = _mean_and_std(how)
        self._scale = (1 / (255 * std)).astype("float32")
        self._offset = (-mean / std).astype("float32")

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """Convert a uint8 clip of shape `(..., 3)` to a new float32 array."""
        if self._is_by_clip:
            return _standardized(clip)
        values: np.ndarray = np.multiply(clip, self._scale, dtype="float32")
        if self._offset.any():
            values += self._offset
        return values


def _standardized(clip: np.ndarray) -> np.ndarray:
    # From the counts of the 256 values, so that the deviation of a clip of one colour is exactly 0.
    counts = np.bincount(clip.ravel(), minlength=256)
    values = np.arange(256, dtype="float64")
    mean = counts @ values / clip.size
    deviation = math.sqrt(counts @ (values - mean) ** 2 / clip.size)
    divisor = max(deviation, 1 / math.sqrt(clip.size))
    table = ((values - mean) / divisor).astype("float32")
    standardized: np.ndarray = np.take(table, clip)
    return standardized


def _mean_and_std(how: object) -> tuple[np.ndarray, np.ndarray]:
    said = f"Received: normalize={how!r}"
    if isinstance(how, str) or not isinstance(how, Sequence) or len(how) != 2:
        raise ValueError(f"`normalize` must be 'unit', 'clip', (mean, std) or None. {said}")
    mean, std = (np.asarray(part, "float64") for part in how)
    if mean.shape not in ((), (3,)) or std.shape not in ((), (3,)):
        raise ValueError(f"`normalize` must have one number or three in each part. {said}")
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
        raise ValueError(
            f"`normalize` must have finite numbers, and standard deviations above 0. {said}"
        )
    return mean, std
