"""Image files as arrays: any mode, upright, in 8 bits of red, green and blue.

A file that cannot be decoded completely is an error with its reason. Missing parts are never
filled in.
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
    """The reason why a file is not read; turned into a `UsageError` or a `Problem`."""


def height_and_width(size: Size) -> tuple[int, int]:
    """Return `(height, width)` of a size given as one number or two.

    Raises:
        ValueError: If a number is not whole, or below 1.
    """
    both = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(both) != 2 or not all(isinstance(n, int) and n >= 1 for n in both):
        raise ValueError(
            f"`size` must be a number or (height, width), 1 or more. Received: size={size!r}"
        )
    return both[0], both[1]


def read_image(path: str | Path, size: Size | None = None, fit: str = "crop") -> np.ndarray:
    """Read an image file as red, green and blue from 0 to 255.

    Gray, palette, CMYK and one-bit images are converted to colour. Transparent images are put on
    white. Gray images of 12 or 16 bits are scaled by the range of these bits, not by their largest
    value. The EXIF orientation is applied, colour profiles are not. Of an animation or a file of
    several pages, the first image is read.

    Args:
        path: The file, in any format that Pillow reads.
        size: Side in pixels, or `(height, width)`; `None` keeps the size. Resizing is bilinear and
            antialiased.
        fit: `"crop"` resizes the image to cover `size` and crops both sides equally; `"stretch"`
            keeps every pixel and changes the aspect ratio.

    Returns:
        uint8 of shape `(height, width, 3)`.

    Raises:
        UsageError: If the file is missing, unreadable, empty, truncated or not an image, has more
            pixels than `PIL.Image.MAX_IMAGE_PIXELS`, or values of unknown range (floating point).
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
    """Decode an image completely, checksums of a PNG included; return the `Problem`, or `None`."""
    path = Path(path)
    try:
        _decoded(path, None, "crop", checksums=True)
    except _Refused as refused:
        return Problem(path, str(refused))
    return None


def inspect_images(items: Items, num_threads: int | None = None) -> Items:
    """Return `items` without the images that cannot be used; its `problems` name those.

    Args:
        items: The images.
        num_threads: Images decoded at a time; `None` for one per processor, at most 8.
    """
    paths = [item.path for item in items.items]
    with ThreadPoolExecutor(num_threads or min(8, os.cpu_count() or 1)) as pool:
        return items.without(_found(pool.map(inspect_image, paths)))


def _found(problems: Iterable[Problem | None]) -> list[Problem]:
    return [problem for problem in problems if problem is not None]


def _decoded(
    path: Path, wanted: tuple[int, int] | None, fit: str, checksums: bool = False
) -> np.ndarray:
    """Decode the pixels; an exception of Pillow for a damaged file becomes a `_Refused`."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is True, which fills in the missing parts of "
            "truncated files; set it to False"
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
    # Pillow's readers raise exceptions of many kinds: SyntaxError, struct.error, KeyError.
    except Exception as error:
        raise _Refused(f"it is truncated or damaged: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_file(path: Path) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise _Refused("it is not a file")
    if status.st_size == 0:
        raise _Refused("it is empty, 0 bytes")


def _check_sums(path: Path) -> None:
    """Verify the checksums of a PNG, which decoding ignores."""
    with Image.open(path) as image:
        if image.format == "PNG":
            image.verify()


def _loaded(image: ImageFile.ImageFile, wanted: tuple[int, int] | None) -> Image.Image:
    """Load the image, upright, in RGB; a JPEG at the smallest scale that suffices for `wanted`."""
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
    # Read after loading: for a TIFF, loading applies the orientation and removes the tag.
    turn = _UPRIGHT.get(_orientation(image))
    colour = _rgb(image)
    return colour if turn is None else colour.transpose(turn)


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(Base.Orientation)
    except Exception:  # a damaged EXIF block has no orientation
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
    """Convert gray of more than 8 bits, which `Image.convert` would clip or shift."""
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
