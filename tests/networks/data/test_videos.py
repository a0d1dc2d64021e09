"""Frames by their numbers: the right ones, however they are found."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from stayfinite import UsageError
from stayfinite.networks.data import VideoError, inspect_video, read_frames
from tests.networks.data import videos


@pytest.mark.parametrize("name", videos.LOSSLESS)
def test_frames_are_exact(tmp_path, name):
    pictures = videos.numbered(30)
    path = videos.write_as(name, tmp_path, pictures)
    np.testing.assert_array_equal(read_frames(path, range(5, 26, 3)), pictures[5:26:3])
    np.testing.assert_array_equal(read_frames(path, [7, 2, 7, 29]), pictures[[7, 2, 7, 29]])


@pytest.mark.parametrize("name", videos.ALL)
@pytest.mark.parametrize("how", ["decode", "header"])
def test_frames_are_the_same_after_a_seek(tmp_path, name, how):
    path = videos.write_as(name, tmp_path, videos.noise(50))
    whole = read_frames(path, range(50))
    keys = inspect_video(path, how=how).key_frames
    assert len(keys) > 2
    for start in (3, 11, 12, 13, 24, 30, 47, 49):
        found = read_frames(path, [start, 49], key_frames=keys)
        np.testing.assert_array_equal(found, whole[[start, 49]])


@pytest.mark.parametrize("name", ["h264.mp4", "vp9.webm", "open_gop.mkv", "mjpeg.avi", "ffv1.mkv"])
def test_what_lies_before_the_key_frame_is_not_decoded(tmp_path, name):
    path = videos.write_as(name, tmp_path, videos.noise(50))
    whole, keys = read_frames(path, range(50)), inspect_video(path).key_frames
    videos.overwrite(path, 0.1, bytes(path.stat().st_size // 20))
    np.testing.assert_array_equal(read_frames(path, [40, 45], key_frames=keys), whole[[40, 45]])
    try:
        from_the_beginning = read_frames(path, [0, 1, 2, 3, 4, 5, 40])
    except VideoError:
        return
    assert (from_the_beginning[:6] != whole[:6]).any()


def test_key_frames_that_are_not_there_do_no_harm(tmp_path):
    pictures = videos.numbered(30)
    path = videos.write_as("ffv1.mkv", tmp_path, pictures)
    keys = inspect_video(path).key_frames
    wrong = [key._replace(time=key.time + 1) for key in keys]
    np.testing.assert_array_equal(read_frames(path, [29], key_frames=wrong), pictures[[29]])


def test_nothing_after_the_last_frame_is_read(tmp_path):
    pictures = videos.noise(40)
    path = videos.cut(videos.write_as("ffv1.mkv", tmp_path, pictures), 0.5)
    np.testing.assert_array_equal(read_frames(path, range(10)), pictures[:10])
    with pytest.raises(VideoError, match="frame 39 is wanted, but it has only"):
        read_frames(path, [39])


@pytest.mark.parametrize("num_threads", [1, 3])
def test_threads_do_not_change_frames(tmp_path, num_threads):
    pictures = videos.numbered(30)
    path = videos.write_as("ffv1.mkv", tmp_path, pictures)
    found = read_frames(path, range(4, 30), num_threads=num_threads)
    np.testing.assert_array_equal(found, pictures[4:])


@pytest.mark.parametrize(
    "size, resize, expected",
    [
        ((48, 96), 24, (24, 48)),
        ((96, 48), 24, (48, 24)),
        ((48, 64), 96, (96, 128)),
        ((50, 71), 20, (20, 28)),
        ((48, 96), (20, 30), (20, 30)),
        ((48, 96), None, (48, 96)),
    ],
)
def test_the_shorter_side_is_resized_and_the_ratio_kept(tmp_path, size, resize, expected):
    pictures = videos.numbered(4, *size)
    path = videos.write_as("ffv1.mkv", tmp_path, pictures)
    found = read_frames(path, [3], resize=resize)
    assert found.shape == (1, *expected, 3)
    # Still a picture of the same place: its middle is the middle.
    middle = found[0, expected[0] // 2, expected[1] // 2].astype(int)
    assert np.abs(middle - [3, size[1] // 2, size[0] // 2]).max() <= 3


@pytest.mark.parametrize("name", ["ffv1.mkv", "png.mov"])
@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_frames_are_turned_as_the_file_says(tmp_path, name, rotation):
    pictures = videos.numbered(3)
    path = videos.write_as(name, tmp_path, pictures, rotation=rotation)
    upright = np.rot90(pictures, rotation // 90, axes=(1, 2))
    np.testing.assert_array_equal(read_frames(path, range(3)), upright)
    info = inspect_video(path)
    assert (info.height, info.width) == upright.shape[1:3]
    assert read_frames(path, [0], resize=(20, 40)).shape == (1, 20, 40, 3)
    assert min(read_frames(path, [0], resize=16).shape[1:3]) == 16


@pytest.mark.parametrize(
    "name, codec, pix_fmt, num_greys",
    [
        ("gray.mkv", "ffv1", "gray", 2),
        ("gray16.mkv", "ffv1", "gray16le", 2),
        ("ten_bits.mkv", "ffv1", "yuv420p10le", 3),
        ("palette.avi", "png", "pal8", 0),
        ("transparent.avi", "png", "rgba", 0),
        ("transparent_yuv.mkv", "ffv1", "yuva420p", 3),
        ("planar.mkv", "ffv1", "gbrp10le", 1),
    ],
)
def test_odd_pixel_formats(tmp_path, name, codec, pix_fmt, num_greys):
    grey = np.repeat(np.arange(20, 200, 6, dtype="uint8"), 3 * 32 * 48).reshape(-1, 32, 48, 3)
    path = videos.write(tmp_path / name, grey, codec, pix_fmt)
    assert inspect_video(path).num_frames == len(grey)
    found = read_frames(path, range(len(grey))).astype(int)
    assert np.abs(found - grey).max() <= num_greys


def test_variable_frame_rate(tmp_path):
    pictures = videos.numbered(20)
    times = np.cumsum([1, 2, 7, 1, 30] * 4).tolist()
    path = videos.write_as("ffv1.mkv", tmp_path, pictures, times=times)
    info = inspect_video(path)
    assert info.num_frames == 20
    found = read_frames(path, range(13, 20), key_frames=info.key_frames)
    np.testing.assert_array_equal(found, pictures[13:])


def test_an_error_names_the_file_and_can_be_sent_to_another_process(tmp_path):
    with pytest.raises(UsageError, match="there is no such file") as caught:
        read_frames(tmp_path / "missing.mp4", [0])
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) == f"{tmp_path}/missing.mp4: there is no such file"
    assert again.problem == caught.value.problem


def test_a_playlist_under_another_name_reaches_nothing(tmp_path):
    other = videos.write_as("h264.mp4", tmp_path, videos.numbered(5))
    path = tmp_path / "playlist.mp4"
    for content in (
        "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {other}\n",
    ):
        path.write_text(content)
        with pytest.raises(VideoError):
            read_frames(path, [0])


def test_without_pyav_the_message_says_what_to_install():
    code = (
        "import sys; sys.modules['av'] = None\n"
        "import stayfinite.data\n"
        "stayfinite.data.read_items\n"
        "try:\n"
        "    stayfinite.data.read_frames\n"
        "except stayfinite.UsageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "decoding videos needs PyAV: pip install 'stayfinite[media]'\n"


def test_the_package_is_imported_without_pyav_pillow_or_keras():
    code = "import sys, stayfinite.data; print({'av', 'PIL', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_public_names():
    import stayfinite.data

    assert sorted(stayfinite.data.__all__) == stayfinite.data.__all__ == dir(stayfinite.data)
    for name in stayfinite.data.__all__:
        assert hasattr(stayfinite.data, name), name
    with pytest.raises(AttributeError, match="has no attribute 'nowhere'"):
        _ = stayfinite.data.nowhere
