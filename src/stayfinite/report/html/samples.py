"""The samples at fault: pictures of images and clips, values of all else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from stayfinite.checkpoints.loading import load
from stayfinite.errors import UsageError
from stayfinite.files import limits
from stayfinite.incident import Incident
from stayfinite.pages import pictures
from stayfinite.report.words import number, plural

# Samples, arrays of a batch, frames of a clip, and values of a vector that are shown.
MAX_SAMPLES = 6
_MAX_ARRAYS = 6
_MAX_FRAMES = 8
_MAX_VALUES = 48
# An array smaller than this is shown by its values.
_MIN_SIDE = 8
_CHANNELS = (1, 3, 4)
# Bytes of pictures as text; a page stays below 2 MB.
_MAX_PICTURES = 900_000


@dataclass(frozen=True)
class ShownNumber:
    """A value as text; a non-finite one is marked."""

    text: str
    finite: bool


@dataclass(frozen=True)
class ShownArray:
    """One array of a sample: its pictures, or its first values.

    Attributes:
        name: Its name in the batch.
        about: Shape, dtype, range, and how many values are not finite.
        pictures: PNG files as `data:` URLs, one a frame.
        numbers: Values, where there is no picture.
        more: How many frames or values are left out.
    """

    name: str
    about: str
    pictures: tuple[Markup, ...]
    numbers: tuple[ShownNumber, ...]
    more: int


@dataclass(frozen=True)
class ShownSample:
    """One sample of the batch."""

    number: int
    arrays: tuple[ShownArray, ...]


def samples_of(incident: Incident, batch: Path) -> tuple[ShownSample, ...]:
    """The samples at fault, from the arrays in the file `batch`.

    Empty where they are not known, or where there is no such file or a very large one.
    """
    if not incident.origin.samples:
        return ()
    try:
        if batch.stat().st_size > limits.SHOWN_BATCH:
            return ()
        arrays = load(batch)
    except (OSError, UsageError):
        return ()
    return shown_samples(incident.origin.samples, arrays)


def shown_samples(
    samples: tuple[int, ...], arrays: dict[str, np.ndarray]
) -> tuple[ShownSample, ...]:
    """The first of `samples`, each with its part of every array, in the range of the batch."""
    budget = _MAX_PICTURES
    ranges: dict[str, tuple[float, float]] = {}
    found = []
    for sample in samples[:MAX_SAMPLES]:
        shown = []
        for name, array in list(arrays.items())[:_MAX_ARRAYS]:
            if array.ndim and 0 <= sample < len(array) and array.dtype.kind in "biufV":
                if name not in ranges:
                    ranges[name] = pictures.finite_range(array)
                each = _shown(name, array[sample], ranges[name], budget)
                budget -= sum(map(len, each.pictures))
                shown.append(each)
        if shown:
            found.append(ShownSample(sample, tuple(shown)))
    return tuple(found)


def _shown(name: str, array: np.ndarray, span: tuple[float, float], budget: int) -> ShownArray:
    values = array.astype(np.float64)
    frames = _frames(values)
    drawn: list[Markup] = []
    if frames is not None:
        chosen = frames[:: -(-len(frames) // _MAX_FRAMES)]
        for frame in chosen:
            drawn.append(pictures.data_url(pictures.pixels_of(frame, *span)))
        if sum(map(len, drawn)) <= budget:
            return ShownArray(
                name, _about(values, array.dtype, True), tuple(drawn), (), len(frames) - len(chosen)
            )
    flat = values.ravel()
    numbers = tuple(ShownNumber(_number(v), bool(np.isfinite(v))) for v in flat[:_MAX_VALUES])
    return ShownArray(
        name, _about(values, array.dtype, False), (), numbers, max(0, flat.size - _MAX_VALUES)
    )


def _frames(values: np.ndarray) -> np.ndarray | None:
    """The frames of a clip, or an image as the only frame: `(frames, height, width, channels)`.

    Channels may come last or first. None where `values` are neither.
    """
    if values.ndim == 2:
        values = values[..., np.newaxis]
    axes: tuple[int, ...] = (-1, 1, 0)
    if values.ndim == 3:
        values, axes = values[np.newaxis], (-1, 1)
    if values.ndim != 4:
        return None
    channels = next((axis for axis in axes if values.shape[axis] in _CHANNELS), None)
    if channels is None:
        return None
    values = np.moveaxis(values, channels, -1)
    return values if min(values.shape[1:3]) >= _MIN_SIDE else None


def _about(values: np.ndarray, dtype: np.dtype[np.generic], in_pictures: bool) -> str:
    """`float32 (32, 32, 3) from 0 to 1, 7 of 3072 values nan or inf (magenta)`."""
    shape = str(values.shape) if values.shape else "scalar"
    text = f"{dtype.name} {shape}"
    finite = np.isfinite(values)
    if values.size > 1 and finite.any():
        low, high = pictures.finite_range(values)
        text += f" from {number(low)} to {number(high)}"
    bad = int(values.size - finite.sum())
    if bad:
        colour = " (magenta)" if in_pictures else ""
        text += f", {bad} of {plural(values.size, 'value')} nan or inf{colour}"
    return text


def _number(value: float) -> str:
    return number(float(value))
