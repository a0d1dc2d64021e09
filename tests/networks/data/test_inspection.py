"""What is wrong with a video is found and named; what is merely unusual is not called wrong."""

import os

import numpy as np
import pytest

from stayfinite.networks.data import Problem, VideoInfo, inspect_video, inspect_videos
from tests.networks.data import videos
from tests.networks.data.permissions import as_nobody, open_folder

HOWS = ["decode", "header"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", videos.ALL)
def test_whole_videos(tmp_path, name, how):
    path = videos.write_as(name, tmp_path, videos.noise(50))
    info = inspect_video(path, 50, how)
    assert isinstance(info, VideoInfo), info
    assert (info.path, info.num_frames, info.height, info.width) == (path, 50, 96, 128)
    assert info.key_frames[0].number == 0


@pytest.mark.parametrize("how", HOWS)
def test_key_frames_are_those_of_the_encoder(tmp_path, how):
    path = videos.write_as("ffv1.mkv", tmp_path, videos.numbered(40))
    assert [key.number for key in inspect_video(path, how=how).key_frames] == [0, 12, 24, 36]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("fraction", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("name", videos.ALL)
def test_truncated(tmp_path, name, fraction, how):
    path = videos.cut(videos.write_as(name, tmp_path, videos.noise(30)), fraction)
    assert_problem(inspect_video(path, how=how), path, "it is truncated: ")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("fraction", [0.3, 0.7])
def test_truncated_with_its_index_in_front(tmp_path, fraction, how):
    path = videos.write_as(
        "h264.mp4", tmp_path, videos.noise(30), container_options={"movflags": "faststart"}
    )
    assert inspect_video(path, how=how).num_frames == 30
    assert_problem(inspect_video(videos.cut(path, fraction), how=how), path, "it is truncated: ")


def test_a_recording_that_was_never_finished(tmp_path):
    path = videos.write_as("h264.mp4", tmp_path, videos.noise(30))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])
    assert_problem(inspect_video(path), path, "its index (moov) is missing")


@pytest.mark.parametrize(
    "name", ["h264.mp4", "open_gop.mkv", "mpeg4.avi", "mpeg4.mov", "mjpeg.avi", "h264.m4v"]
)
def test_damaged_in_the_middle(tmp_path, name):
    path = videos.write_as(name, tmp_path, videos.noise(50))
    videos.overwrite(path, 0.5, np.random.default_rng(1).bytes(2000))
    assert_problem(inspect_video(path), path, "it is damaged")


@pytest.mark.parametrize("name", videos.LOSSY)
def test_a_hole_of_zeros(tmp_path, name):
    path = videos.write_as(name, tmp_path, videos.noise(50))
    videos.overwrite(path, 0.4, bytes(int(0.3 * path.stat().st_size)))
    assert_problem(inspect_video(path), path, "it is damaged")


@pytest.mark.parametrize("how", HOWS)
def test_what_is_no_video(tmp_path, how):
    def problem(name, content, reason):
        path = tmp_path / name
        path.write_bytes(content)
        assert_problem(inspect_video(path, how=how), path, reason)

    assert_problem(inspect_video(tmp_path / "none.mp4", how=how), tmp_path / "none.mp4", "no such")
    problem("empty.mp4", b"", "it is empty, 0 bytes")
    problem("text.mp4", b"This is not a video.\n" * 50, "it cannot be read as a video: Invalid")
    problem("random.avi", np.random.default_rng(0).bytes(5000), "it cannot be read as a video")
    problem("zeros.mkv", bytes(5000), "it cannot be read as a video")
    (tmp_path / "folder.mp4").mkdir()
    assert_problem(
        inspect_video(tmp_path / "folder.mp4", how=how), tmp_path / "folder.mp4", "it is not a file"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    assert_problem(inspect_video(path), path, "it is not a file")


def test_no_permission():
    with open_folder() as folder:
        path = videos.write_as("h264.mp4", folder, videos.numbered(5))
        assert isinstance(inspect_video(path), VideoInfo)
        path.chmod(0)
        with as_nobody():
            found = inspect_video(path)
    assert_problem(found, path, "no permission to read it")


@pytest.mark.parametrize("how", HOWS)
def test_no_video_stream(tmp_path, how):
    import av

    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as output:
        audio = output.add_stream("aac", rate=8000)
        videos.write_silence(output, audio, 1)
    assert_problem(inspect_video(path, how=how), path, "it has no video stream")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["h264.mp4", "ffv1.mkv", "mpeg4.avi"])
def test_zero_frames(tmp_path, name, how):
    path = videos.write_as(name, tmp_path, np.zeros((0, 32, 48, 3), "uint8"))
    found = inspect_video(path, how=how)
    assert_problem(found, path, "it has no frames")


@pytest.mark.parametrize("how", HOWS)
def test_too_short(tmp_path, how):
    path = videos.write_as("h264.mp4", tmp_path, videos.noise(1))
    assert inspect_video(path, 1, how).num_frames == 1
    assert_problem(inspect_video(path, 16, how), path, "it is too short: 1 of 16 frames")


@pytest.mark.parametrize("name", ["sizes.avi", "sizes.mkv"])
def test_changing_size(tmp_path, name):
    groups = [videos.numbered(8, 32, 48), videos.numbered(8, 40, 40)]
    path = videos.write_sizes(tmp_path / name, groups)
    assert_problem(
        inspect_video(path), path, "its frame size changes from 48 x 32 to 40 x 40 at 0.320 s"
    )
    assert inspect_video(path, how="header").num_frames == 16


@pytest.mark.parametrize("how", HOWS)
def test_a_pixel_format_without_conversion(tmp_path, how):
    path = videos.write(
        tmp_path / "odd.mkv", videos.numbered(5), "rawvideo", "rgb4", container="nut"
    )
    assert_problem(
        inspect_video(path, how=how), path, "its pixel format rgb4 has no conversion to RGB"
    )


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["h264.mp4", "open_gop.mkv"])
@pytest.mark.parametrize("num_frames, num_seconds", [(10, 4), (100, 1)])
def test_audio_that_is_longer_or_shorter(tmp_path, name, num_frames, num_seconds, how):
    path = videos.write_as(
        name, tmp_path, videos.numbered(num_frames), num_seconds_of_audio=num_seconds
    )
    assert inspect_video(path, how=how).num_frames == num_frames


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["h264.mp4", "vp9.webm", "ffv1.mkv"])
def test_a_last_frame_that_stays_long(tmp_path, name, how):
    times = [*range(19), 500]
    path = videos.write_as(name, tmp_path, videos.numbered(20), times=times)
    assert inspect_video(path, how=how).num_frames == 20


@pytest.mark.parametrize("how", HOWS)
def test_an_edit_list_hides_frames(tmp_path, how):
    """The packets before time 0 are in the file and not shown, so fewer frames than declared."""
    import av

    path = tmp_path / "edited.mp4"
    whole = videos.write_as("mpeg4.mov", tmp_path, videos.noise(40))
    with av.open(str(whole)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts -= int(0.2 / packet.time_base)
                packet.dts -= int(0.2 / packet.time_base)
                packet.stream = stream
                output.mux(packet)
    with av.open(str(path)) as source:
        assert source.streams.video[0].frames == 40
    assert inspect_video(path, how=how).num_frames == 35


@pytest.mark.parametrize("name", ["vp9.webm", "open_gop.mkv"])
@pytest.mark.parametrize("how", HOWS)
def test_a_live_recording_without_lengths(tmp_path, name, how):
    path = videos.write_as(name, tmp_path, videos.noise(30), container_options={"live": "1"})
    assert inspect_video(path, how=how).num_frames == 30


@pytest.mark.parametrize("name", ["h264.mp4", "ffv1.mkv", "mpeg4.avi"])
@pytest.mark.parametrize("how", HOWS)
def test_bytes_behind_the_end(tmp_path, name, how):
    path = videos.write_as(name, tmp_path, videos.noise(30))
    path.write_bytes(path.read_bytes() + bytes(3000))
    assert inspect_video(path, how=how).num_frames == 30


def test_a_title_that_is_not_utf8(tmp_path):
    path = videos.write_as("mpeg4.avi", tmp_path, videos.numbered(5))
    content = path.read_bytes()
    # The name of the encoder is a chunk of text of its own.
    start = content.index(b"ISFT") + 8
    path.write_bytes(content[:start] + b"\xff\xfe" + content[start + 2 :])
    assert inspect_video(path).num_frames == 5


def test_of_many_files_each_is_looked_at_once_and_in_order(tmp_path):
    good = [videos.write(tmp_path / f"{n}.mkv", videos.numbered(5 + n)) for n in range(4)]
    bad = [tmp_path / f"bad{n}.mp4" for n in range(3)]
    paths = [bad[2], *good, bad[0], good[0], bad[1]]
    infos, problems = inspect_videos(paths, num_threads=3)
    assert [info.num_frames for info in infos.values()] == [5, 6, 7, 8]
    assert [problem.path for problem in problems] == [bad[2], bad[0], bad[1]]


def test_an_unknown_way(tmp_path):
    with pytest.raises(ValueError, match="`how` must be one of"):
        inspect_video(tmp_path / "a.mp4", how="quickly")


def assert_problem(found, path, reason):
    assert isinstance(found, Problem), found
    assert found.path == path
    assert reason in found.reason, found.reason
