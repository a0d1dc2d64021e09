"""Frames of a video file by their numbers, upright and resized, as arrays.

PyAV decodes them. It discards FFmpeg's messages unless a program calls `av.logging.set_level`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.data.items import Problem

try:
    import av
    from av.video.reformatter import VideoReformatter
except ImportError as error:
    raise UsageError("decoding videos needs PyAV: pip install 'stayfinite[media]'") from error

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})

# An untrusted file may be a playlist under another name. It must not open network connections.
_OPTIONS: dict[str, Any] = {"container_options": {"protocol_whitelist": "file"}}
# Accept titles that are not UTF-8. PyAV 19 does so by default.
if int(av.__version__.partition(".")[0]) < 19:
    _OPTIONS["metadata_errors"] = "replace"
# libswscale aborts the process for these formats.
_DEADLY_FORMATS = {"yaf32be", "yaf32le"}


class VideoError(UsageError):
    """A video cannot be decoded; `problem` has the file and the reason."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


class KeyFrame(NamedTuple):
    """A frame at which decoding can begin; `time` is in units of the stream's time base."""

    number: int
    time: int


class _Missed(Exception):
    """The key frame was not found after a seek."""


def read_frames(
    path: Path,
    numbers: Sequence[int],
    *,
    resize: int | tuple[int, int] | None = None,
    key_frames: Sequence[KeyFrame] = (),
    num_threads: int = 1,
) -> np.ndarray:
    """Read frames of a video in the given order. Decoding ends with the last of them.

    Args:
        path: The file.
        numbers: Numbers of the frames in display order, from 0; they may repeat.
        resize: The shorter side in pixels, with the aspect ratio kept; or `(height, width)`; `None`
            keeps the size.
        key_frames: The key frames that `inspect_video` returned. Decoding begins at the last one
            before the frames if the file can seek, and otherwise at the first frame. The result is
            the same.
        num_threads: Threads of the decoder.

    Returns:
        uint8 of shape `(len(numbers), height, width, 3)`: red, green, blue, in display orientation.

    Raises:
        VideoError: If the file cannot be opened, has too few frames, a frame is damaged, or the
            frame size changes.
    """
    path, wanted = Path(path), frozenset(numbers)
    before = [key for key in key_frames if 0 < key.number <= min(wanted)]
    if before:
        try:
            found = _decode(path, wanted, resize, before[-1], num_threads)
            return np.stack([found[number] for number in numbers])
        except (_Missed, VideoError):
            pass  # decoding from the beginning works, or raises the final error
    found = _decode(path, wanted, resize, None, num_threads)
    return np.stack([found[number] for number in numbers])


def _decode(
    path: Path,
    wanted: frozenset[int],
    resize: int | tuple[int, int] | None,
    start: KeyFrame | None,
    num_threads: int,
) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    last, number = max(wanted), -1
    with open_video(path, num_threads) as (container, stream):
        pictures = Pictures(path, resize)
        for number, frame in _numbered(container, stream, start):
            if number in wanted:
                found[number] = pictures.of(frame)
            if number == last:
                return found
    raise VideoError(Problem(path, f"frame {last} is wanted, but it has only {number + 1} frames"))


def _numbered(container: Any, stream: Any, start: KeyFrame | None) -> Iterator[tuple[int, Any]]:
    """Yield the frames from `start` on with their numbers."""
    frames = decoded_frames(container, stream)
    if start is None:
        yield from enumerate(frames)
        return
    container.seek(start.time, stream=stream)
    # Frames of an open group of pictures precede its key frame and may be incomplete.
    for first in frames:
        if first.pts is None or first.pts > start.time:
            raise _Missed
        if first.pts == start.time:
            yield start.number, first
            yield from enumerate(frames, start.number + 1)
            return
    raise _Missed


def decoded_frames(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the frames of a stream until the end of the file."""
    for packet in container.demux(stream):
        # An empty packet repeats a frame in AVI, but would end the decoding in PyAV.
        if packet.size:
            yield from stream.decode(packet)
    yield from stream.decode(None)


@contextmanager
def open_video(path: Path, num_threads: int = 1) -> Iterator[tuple[Any, Any]]:
    """Open a file: its container and first video stream. FFmpeg errors become `VideoError`."""
    try:
        with av.open(str(path.absolute()), "r", **_OPTIONS) as container:
            stream = _video_stream(path, container)
            stream.codec_context.thread_count = num_threads
            stream.codec_context.thread_type = "AUTO" if num_threads > 1 else "SLICE"
            yield container, stream
    except av.FFmpegError as error:
        raise VideoError(Problem(path, _reason(error))) from error


def _video_stream(path: Path, container: Any) -> Any:
    """Return the first video stream that is not a cover picture."""
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        # FFmpeg omits a stream of an MP4 without frames.
        reason = "it has no video stream" if len(container.streams) else "it has no frames"
        raise VideoError(Problem(path, reason))
    if streams[0].codec_context is None:
        raise VideoError(Problem(path, "this FFmpeg has no decoder for its video stream"))
    return streams[0]


def _reason(error: av.FFmpegError) -> str:
    if isinstance(error, av.FileNotFoundError):
        return "there is no such file"
    if isinstance(error, av.PermissionError):
        return "no permission to read it"
    if isinstance(error, av.EOFError):
        return "it has no frames: the file ends before the first"
    return f"it cannot be read as a video: {error.strerror}"


class Pictures:
    """Converts the frames of one file to upright RGB arrays; `resize` as in `read_frames`.

    The converter is reused, because creating it takes longer than a conversion.
    """

    def __init__(self, path: Path, resize: int | tuple[int, int] | None) -> None:
        self._path = path
        self._resize = resize
        self._converter = VideoReformatter()
        self._size: tuple[int, int] | None = None

    def of(self, frame: Any) -> np.ndarray:
        """Convert a frame to uint8 of shape `(height, width, 3)`.

        Raises:
            VideoError: If the frame is damaged, cannot be converted, or differs in size from the
                first.
        """
        if frame.is_corrupt:
            raise VideoError(Problem(self._path, f"it is damaged at {frame.time or 0:.3f} s"))
        self.check_size(frame)
        num_turns = round(frame.rotation / 90)
        height, width = _resized(frame.height, frame.width, self._resize, num_turns % 2 == 1)
        rgb = self._converted(frame, height, width)
        return np.rot90(rgb, num_turns) if num_turns % 4 else rgb

    def check_size(self, frame: Any) -> None:
        """Raise a `VideoError` if the size of a frame differs from that of the first."""
        size = frame.width, frame.height
        self._size = self._size or size
        if size != self._size:
            was, now = (" x ".join(map(str, one)) for one in (self._size, size))
            reason = f"its frame size changes from {was} to {now} at {frame.time or 0:.3f} s"
            raise VideoError(Problem(self._path, reason))

    def _converted(self, frame: Any, height: int, width: int) -> np.ndarray:
        name = frame.format.name
        try:
            if name not in _DEADLY_FORMATS:
                rgb = self._converter.reformat(frame, width, height, "rgb24", threads=1)
                array: np.ndarray = rgb.to_ndarray()
                return array
        except av.FFmpegError:
            pass
        raise VideoError(Problem(self._path, f"its pixel format {name} has no conversion to RGB"))


def _resized(
    height: int, width: int, resize: int | tuple[int, int] | None, is_lying: bool
) -> tuple[int, int]:
    """Return height and width of the converted frame before its rotation."""
    if resize is None:
        return height, width
    if isinstance(resize, int):
        shorter = min(height, width)
        return round(height * resize / shorter), round(width * resize / shorter)
    return (resize[1], resize[0]) if is_lying else resize
