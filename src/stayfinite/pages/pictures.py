"""Arrays as PNG pictures, inside a page."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from markupsafe import Markup

# What is not finite; no shade of grey, and rare in photographs.
SIGNAL = (255, 0, 200)
# Sides of a picture in pixels; a larger one is reduced, a smaller one enlarged by the browser.
MAX_SIDE = 160


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of `pixels`, shape `(height, width, 3)`, of uint8."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # a 0 before each row: no filter
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def data_url(pixels: np.ndarray) -> Markup:
    """The picture as the `src` of an image, safe in a template."""
    return Markup("data:image/png;base64,") + base64.b64encode(png(pixels)).decode("ascii")


def finite_range(array: np.ndarray) -> tuple[float, float]:
    """The smallest and the largest finite value; 0 and 1 where there is none."""
    if array.dtype.kind not in "biu" and array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)
    finite = np.isfinite(array)
    if not finite.any():
        return 0.0, 1.0
    # Without a copy of the array, which may be the whole batch.
    ends = np.iinfo(array.dtype) if array.dtype.kind in "iu" else None
    low = np.min(array, where=finite, initial=np.inf if ends is None else ends.max)
    high = np.max(array, where=finite, initial=-np.inf if ends is None else ends.min)
    return float(low), float(high)


def pixels_of(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """The pixels of an image whose values from `low` to `high` become dark to bright.

    Args:
        image: Floats of shape `(height, width)` or `(height, width, channels)` with 1, 3 or 4
            channels, of which the fourth is left out.
        low: The value that becomes black.
        high: The value that becomes white.

    Returns:
        uint8 of shape `(height, width, 3)`, at most `MAX_SIDE` a side. What is not finite has a
        colour of its own.
    """
    image = image[..., np.newaxis] if image.ndim == 2 else image[..., :3]
    step = -(-max(image.shape[:2]) // MAX_SIDE)
    bad = ~np.isfinite(image).all(axis=-1)
    if step > 1:
        bad = _any_of_blocks(bad, step)
        image = image[::step, ::step]
    span = high - low if high > low else 1.0
    with np.errstate(all="ignore"):
        shades = np.nan_to_num((image - low) / span * 255.0)
    pixels = np.broadcast_to(np.clip(shades, 0, 255).astype(np.uint8), (*image.shape[:2], 3)).copy()
    pixels[bad] = SIGNAL
    return pixels


def _any_of_blocks(mask: np.ndarray, step: int) -> np.ndarray:
    """Whether any element of each block of `step` by `step` is set: one pixel must not be lost."""
    height, width = (-(-side // step) * step for side in mask.shape)
    padded = np.zeros((height, width), bool)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return np.asarray(padded.reshape(height // step, step, width // step, step).any(axis=(1, 3)))
