"""One image file as an array: whatever its mode, upright, in 8 bits of red, green and blue.

A file that cannot be decoded to its last row is refused with its reason. It never becomes a gray or
black picture in silence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.data.items import Items, Problem

try:
    from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
    from PIL.ExifTags import Base
except ImportError as error:
    raise UsageError("reading images needs Pillow: pip install 'stayfinite[media]'") from error

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
FITS = ("crop", "stretch")
Size = int | tuple[int, int]

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class _Refused(Exception):
    """The reason why a file is not read."""


def height_and_width(size: Size) -> tuple[int, int]:
    """`(height, width)` of a size given as one number or as both.

    Raises:
        ValueError: If a number is not whole, or below 1.
    """
    both = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(both) != 2 or not all(isinstance(n, int) and n >= 1 for n in both):
        raise ValueError(f"`size` must be a number or (height, width), 1 or more. Received: {size}")
    return both[0], both[1]


def read_image(path: str | Path, size: Size | None = None, fit: str = "crop") -> np.ndarray:
    """An image file as red, green and blue from 0 to 255.

    Gray, palette, CMYK and one-bit images become colour, transparent ones are laid on white, and
    gray ones of 12 or 16 bits are divided by the range of these bits, not by their own largest
    value. The EXIF orientation is applied. Of an animation or a file of several pages the first is
    read. Colour profiles are not applied.

    Args:
        path: The file, in any format that Pillow reads.
        size: Side in pixels, or `(height, width)`; `None` keeps the size. The image is resized
            bilinearly and antialiased.
        fit: `"crop"` resizes until the image just covers `size` and cuts off, on both sides alike,
            what sticks out; `"stretch"` keeps every pixel and changes the shape.

    Returns:
        uint8 of shape `(height, width, 3)`.

    Raises:
        UsageError: If the file is missing, unreadable, empty, no image, cut short, has more pixels
            than `PIL.Image.MAX_IMAGE_PIXELS`, or numbers of no known range (floating point).
        ValueError: If `size` or `fit` is none of the above.
    """
    if fit not in FITS:
        raise ValueError(f"`fit` must be one of {FITS}. Received: fit={fit!r}")
    wanted = None if size is None else height_and_width(size)
    try:
        return _decoded(Path(path), wanted, fit)
    except _Refused as refused:
        raise UsageError(f"cannot read the image {path}: {refused}") from refused.__cause__


def inspect_image(path: str | Path) -> Problem | None:
    """Why this image cannot be used, or `None`: it is decoded whole, and a PNG's checksums too."""
    path = Path(path)
    try:
        _decoded(path, None, "crop", checksums=True)
    except _Refused as refused:
        return Problem(path, str(refused))
    return None


def inspect_images(items: Items, num_threads: int | None = None) -> Items:
    """`items` without the images that cannot be used, which are named in its `problems`."""
    paths = [item.path for item in items.items]
    with ThreadPoolExecutor(num_threads or min(8, os.cpu_count() or 1)) as pool:
        return items.without(_found(pool.map(inspect_image, paths)))


def _found(problems: Iterable[Problem | None]) -> list[Problem]:
    return [problem for problem in problems if problem is not None]


def _decoded(
    path: Path, wanted: tuple[int, int] | None, fit: str, checksums: bool = False
) -> np.ndarray:
    """The pixels; whatever a damaged file makes Pillow raise is a `_Refused`."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set, which fills in what a file lacks; set it "
            "to False: what is missing must be told, not trained on"
        )
    try:
        _check_file(path)
        if checksums:
            _check_sums(path)
        with Image.open(path) as image:
            return np.asarray(_resized(_loaded(image, wanted), wanted, fit))
    except _Refused:
        raise
    except FileNotFoundError as error:
        raise _Refused("there is no such file") from error
    except PermissionError as error:
        raise _Refused("no permission to read it") from error
    except UnidentifiedImageError as error:
        raise _Refused("it is not an image that Pillow can read") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise _Refused(f"it is too large: {_line(error)}") from error
    # Pillow's readers raise whatever their parsing meets: SyntaxError, struct.error, KeyError.
    except Exception as error:
        raise _Refused(f"it is cut short or damaged: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _Refused("it is not a file")
    if status.st_size == 0:
        raise _Refused("it is empty, 0 bytes")


def _check_sums(path: Path) -> None:
    """Decoding a PNG skips its checksums, so a flipped bit would give other pixels."""
    with Image.open(path) as image:
        if image.format == "PNG":
            image.verify()


def _loaded(image: ImageFile.ImageFile, wanted: tuple[int, int] | None) -> Image.Image:
    """The whole image, upright, in RGB; a JPEG no larger than resizing well to `wanted` needs."""
    width, height = image.size
    if width < 1 or height < 1:
        raise _Refused(f"it has no pixels: {width} x {height}")
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise _Refused(
            f"it is too large: {width} x {height} pixels, more than the {limit} of "
            "PIL.Image.MAX_IMAGE_PIXELS"
        )
    if wanted is not None:
        side = 2 * max(wanted)
        image.draft(None, (side, side))
    image.load()
    # Only now: a TIFF is turned upright, and loses the mark, when it is loaded.
    turn = _UPRIGHT.get(_orientation(image))
    colour = _rgb(image)
    return colour if turn is None else colour.transpose(turn)


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(Base.Orientation)
    except Exception:  # a damaged EXIF block says nothing about the orientation
        return None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return _from_wide_gray(image)
    if image.mode == "F":
        raise _Refused("its values are floating point numbers of no known range; save 8 or 16 bits")
    try:
        if not image.has_transparency_data:
            return image.convert("RGB")
        colour = image.convert("RGBA")
    except ValueError as error:
        raise _Refused(f"its mode {image.mode} has no conversion to RGB in Pillow") from error
    return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")


def _from_wide_gray(image: Image.Image) -> Image.Image:
    """Gray of more than 8 bits, which `convert` would clip or shift."""
    if image.mode == "I" and image.format not in ("PNG", "PPM"):
        raise _Refused("its values are 32-bit numbers of no known range; save 8 or 16 bits")
    values = np.asarray(image).astype("float32")
    bits = getattr(image, "tag_v2", {}).get(258, (16,))[0]
    gray = np.clip(values * (255.0 / (2**bits - 1)) + 0.5, 0, 255).astype("uint8")
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        gray[values == clear] = 255
    return Image.fromarray(gray).convert("RGB")


def _resized(image: Image.Image, wanted: tuple[int, int] | None, fit: str) -> Image.Image:
    if wanted is None:
        return image
    width_and_height = (wanted[1], wanted[0])
    if fit == "crop":
        return ImageOps.fit(image, width_and_height, Image.Resampling.BILINEAR)
    return image.resize(width_and_height, Image.Resampling.BILINEAR)
