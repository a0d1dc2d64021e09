"""Every image file becomes the picture it shows, in RGB; what is not whole is refused by name."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from stayfinite.errors import UsageError
from stayfinite.networks.data.images import SUFFIXES, inspect_image, inspect_images, read_image
from stayfinite.networks.data.items import read_items
from tests.networks.data.pictures import write_digits

RED, WHITE = [255, 0, 0], [255, 255, 255]


def gray(height=5, width=7):
    return np.arange(height * width, dtype="uint8").reshape(height, width) * 7


def saved(folder, image, name="image.png", **options):
    path = folder / name
    image.save(path, **options)
    return path


@pytest.fixture
def photo():
    """A picture of colour whose corners differ, 97 x 61."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype="uint8")
    return Image.fromarray(noise).resize((97, 61), Image.Resampling.BICUBIC)


def test_colour_is_read_as_it_is(tmp_path, photo):
    pixels = read_image(saved(tmp_path, photo))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.asarray(photo))


@pytest.mark.parametrize("suffix", sorted(SUFFIXES - {".pgm"}))
def test_every_suffix_is_read(tmp_path, photo, suffix):
    path = saved(tmp_path, photo, f"image{suffix}")
    assert inspect_image(path) is None
    difference = read_image(path).astype(int) - np.asarray(photo)
    assert np.abs(difference).mean() < 12  # some formats lose a little


@pytest.mark.parametrize("name", ["image.png", "image.pgm", "image.tif"])
def test_gray_is_read_as_three_equal_channels(tmp_path, name):
    pixels = read_image(saved(tmp_path, Image.fromarray(gray()), name))
    assert np.array_equal(pixels, np.repeat(gray()[..., None], 3, axis=2))


@pytest.mark.parametrize("name", ["image.png", "image.tif", "image.pgm"])
def test_sixteen_bits_are_scaled_by_their_range(tmp_path, name):
    wide = np.array([[0, 257, 128 * 257], [65535, 300, 1000]], "uint16")
    path = saved(tmp_path, Image.fromarray(wide), name)
    expected = np.array([[0, 1, 128], [255, 1, 4]])
    assert np.array_equal(read_image(path)[..., 0], expected)
    assert np.array_equal(read_image(path)[..., 2], expected)


def test_one_bit_becomes_black_and_white(tmp_path):
    bits = gray() > 100
    pixels = read_image(saved(tmp_path, Image.fromarray(bits)))
    assert np.array_equal(pixels[..., 1], np.where(bits, 255, 0))


def test_a_palette_becomes_its_colours(tmp_path, photo):
    few = photo.quantize(16)
    assert np.array_equal(read_image(saved(tmp_path, few)), np.asarray(few.convert("RGB")))


def test_transparent_palette_entries_are_laid_on_white(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    path = saved(tmp_path, image, transparency=1)
    assert read_image(path).tolist() == [[RED, WHITE]]


def test_alpha_is_laid_on_white(tmp_path):
    image = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (255, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 51))
    assert read_image(saved(tmp_path, image)).tolist() == [[RED, WHITE, [204] * 3]]


def test_gray_with_alpha_is_laid_on_white(tmp_path):
    image = Image.new("LA", (2, 1), (10, 255))
    image.putpixel((1, 0), (10, 0))
    assert read_image(saved(tmp_path, image)).tolist() == [[[10] * 3, WHITE]]


def test_the_clear_value_of_sixteen_bits_is_white(tmp_path):
    wide = np.array([[1000, 30000]], "uint16")
    path = saved(tmp_path, Image.fromarray(wide), transparency=1000)
    assert read_image(path)[0, :, 0].tolist() == [255, 117]


def test_cmyk_becomes_its_colours(tmp_path):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    pixels = read_image(saved(tmp_path, image, "image.jpg", quality=95))
    assert np.abs(pixels.astype(int) - RED).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied(tmp_path, photo, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, photo, exif=exif)
    upright = np.asarray(photo)
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, -1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, 1),
    }
    assert np.array_equal(read_image(path), turned[orientation])


def test_a_damaged_exif_block_is_no_reason_to_refuse(tmp_path, photo):
    path = saved(tmp_path, photo, exif=b"Exif\x00\x00MM\x00*nonsense")
    assert np.array_equal(read_image(path), np.asarray(photo))


def test_the_first_picture_of_an_animation_is_read(tmp_path):
    first, second = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    path = saved(tmp_path, first, "image.gif", save_all=True, append_images=[second])
    assert (read_image(path) == RED).all()


def test_crop_keeps_the_middle_and_the_shape(tmp_path):
    stripes = np.zeros((10, 30, 3), "uint8")
    stripes[:, :10], stripes[:, 10:20], stripes[:, 20:] = RED, [0, 255, 0], [0, 0, 255]
    path = saved(tmp_path, Image.fromarray(stripes))
    cropped = read_image(path, 10)
    assert cropped.shape == (10, 10, 3)
    assert (cropped == [0, 255, 0]).all()
    assert (read_image(path, (10, 30)) == stripes).all()


def test_stretch_keeps_everything(tmp_path):
    stripes = np.zeros((10, 30, 3), "uint8")
    stripes[:, :15] = 255
    pixels = read_image(saved(tmp_path, Image.fromarray(stripes)), (6, 10), fit="stretch")
    assert pixels.shape == (6, 10, 3)
    assert (pixels[:, :4] == 255).all() and (pixels[:, 6:] == 0).all()


def test_resizing_is_antialiased(tmp_path):
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    pixels = read_image(saved(tmp_path, Image.fromarray(board.astype("uint8"))), 8)
    # Without it, every eighth pixel of a chequerboard is taken: all black, or all white.
    assert np.abs(pixels.astype(int) - 127).max() < 10


def test_a_large_photo_is_reduced_while_it_is_decoded_and_looks_the_same(tmp_path, photo):
    large = photo.resize((1552, 976), Image.Resampling.BICUBIC)
    path = saved(tmp_path, large, "image.jpg", quality=95)
    whole = Image.fromarray(read_image(path)).resize((40, 25), Image.Resampling.BILINEAR)
    difference = read_image(path, (25, 40), "stretch").astype(int) - np.asarray(whole)
    assert np.abs(difference).max() < 8


@pytest.mark.parametrize("size", [0, -1, (3,), (3, 0), (3, 3, 3), 2.5, "ab"])
def test_a_wrong_size_is_named(size, tmp_path):
    with pytest.raises(ValueError, match="`size` must be a number"):
        read_image(tmp_path / "never opened.png", size)


def test_a_wrong_fit_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"`fit` must be one of .*'cover'"):
        read_image(tmp_path / "never opened.png", 3, fit="cover")


KINDS = [
    ("image.png", {}),
    ("image.jpg", {}),
    ("image.jpg", {"progressive": True}),
    ("image.bmp", {}),
    ("image.gif", {}),
    ("image.webp", {}),
    ("image.webp", {"lossless": True}),
    ("image.tif", {}),
    ("image.tif", {"compression": "tiff_lzw"}),
    ("image.ppm", {}),
]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read")
@pytest.mark.parametrize("name, options", KINDS)
def test_a_file_cut_anywhere_is_refused_or_whole(tmp_path, photo, name, options):
    path = saved(tmp_path, photo, name, **options)
    data = path.read_bytes()
    # Also with a size, where a JPEG is decoded at a fraction of it.
    wholes = {size: read_image(path, size) for size in (None, 8)}
    cuts = {*range(0, len(data), max(1, len(data) // 40)), *range(len(data) - 12, len(data))}
    refused = 0
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        problem = inspect_image(path)
        refused += problem is not None
        for size, whole in wholes.items():
            try:
                # Only the end mark is missing.
                assert np.array_equal(read_image(path, size), whole), cut
            except UsageError as error:
                assert problem is not None
                assert str(error).startswith(f"cannot read the image {path}: it is ")
                assert "\n" not in str(error)
    assert refused >= len(cuts) - 12


def test_a_flipped_bit_in_a_png_is_found(tmp_path, photo):
    path = saved(tmp_path, photo)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    assert "truncated or damaged" in inspect_image(path).reason


def reason_of(path):
    problem = inspect_image(path)
    assert problem.path == path
    with pytest.raises(UsageError) as caught:
        read_image(path)
    assert str(caught.value) == f"cannot read the image {path}: {problem.reason}"
    return problem.reason


def test_what_is_no_file_says_so(tmp_path):
    assert reason_of(tmp_path / "none.png") == "there is no such file"
    assert reason_of(tmp_path) == "it is not a file"
    os.mkfifo(tmp_path / "pipe.png")
    assert reason_of(tmp_path / "pipe.png") == "it is not a file"


def test_an_empty_file_says_so(tmp_path):
    (tmp_path / "empty.png").touch()
    assert reason_of(tmp_path / "empty.png") == "it is empty, 0 bytes"


def test_another_kind_of_file_says_so(tmp_path):
    (tmp_path / "text.png").write_text("<html>404 not found</html>")
    assert reason_of(tmp_path / "text.png") == "it is not an image that Pillow can read"


def test_a_file_without_permission_says_so(tmp_path, photo):
    path = saved(tmp_path, photo)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert reason_of(path) == "no permission to read it"


def test_values_of_no_known_range_are_refused(tmp_path):
    real = saved(tmp_path, Image.fromarray(np.ones((2, 2), "float32")), "real.tif")
    assert "floating point numbers of no known range" in reason_of(real)
    whole = saved(tmp_path, Image.fromarray(np.full((2, 2), 70000, "int32")), "whole.tif")
    assert "32-bit numbers of no known range" in reason_of(whole)


def huge_png(side):
    """The head of a PNG of `side` x `side` pixels, as a bomb has it, with hardly any data."""
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 100_000])
def test_more_pixels_than_pillow_allows_are_refused_before_they_are_decoded(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(huge_png(side))
    assert reason_of(path).startswith("it is too large: ")


def test_an_image_without_pixels_is_refused(tmp_path):
    path = tmp_path / "nothing.pgm"
    path.write_bytes(b"P5 0 0 255\n")
    assert reason_of(path)


def test_a_program_that_lets_pillow_fill_in_is_told(tmp_path, photo, monkeypatch):
    path = saved(tmp_path, photo)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED_IMAGES is True"):
        read_image(path)


def test_the_bad_files_of_a_set_are_left_out_by_name(tmp_path):
    folder = write_digits(tmp_path / "set", {0: 3, 1: 3})
    (folder / "digit0" / "aaa.png").write_bytes(b"GIF89a")
    cut = folder / "digit1" / "zzz.png"
    buffer = io.BytesIO()
    Image.fromarray(gray(100, 30)).save(buffer, "png")
    cut.write_bytes(buffer.getvalue()[:-30])
    items = inspect_images(read_items(folder, SUFFIXES), num_threads=3)
    assert len(items) == 6
    assert [problem.path.name for problem in items.problems] == ["aaa.png", "zzz.png"]
    assert items.labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_without_pillow_the_error_says_what_to_install():
    code = "import sys; sys.modules['PIL'] = None; import stayfinite; stayfinite.data.read_image"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "stayfinite.errors.UsageError: reading images needs Pillow: pip install 'stayfinite[media]'"
    )
