"""Inspection of videos before a training: which can be used, and why the others cannot."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from stayfinite.networks.data.items import Problem
from stayfinite.networks.data.structure import structure_fault
from stayfinite.networks.data.videos import (
    KeyFrame,
    Pictures,
    VideoError,
    decoded_frames,
    open_video,
)

WAYS = ("decode", "header")
# Least distance in frames between the stored key frames.
_KEY_FRAME_GAP = 8
# A stream cut out of another begins with packets that have no frame. Missing frames are accepted
# up to this number, or this share of the packets.
_FEW_PACKETS = 4
_FEW = 0.05


@dataclass(frozen=True)
class VideoInfo:
    """A video that can be used: its number of frames, their size, and its key frames."""

    path: Path
    num_frames: int
    height: int
    width: int
    key_frames: tuple[KeyFrame, ...] = ()


Videos = Mapping[Path, VideoInfo]


def inspect_video(
    path: str | Path, min_frames: int = 1, how: str = "decode", num_threads: int = 1
) -> VideoInfo | Problem:
    """Inspect a video file and return its properties, or why it cannot be used.

    A truncated AVI, MP4, MOV, Matroska or WebM file is found by the lengths in it, unless it ends
    exactly between two fragments of an MP4. Wrong bytes within a frame are found if the codec
    detects them: MPEG-4 and PNG nearly always, H.264 and JPEG often, VP8, VP9, FFV1 and raw video
    never.

    Args:
        path: The file.
        min_frames: Least number of frames.
        how: `"decode"` decodes every frame. `"header"` decodes the first frame and reads the other
            packets without decoding them. It is many times as fast, and does not find damage within
            a frame or a change of the frame size.
        num_threads: Threads of the decoder.

    Returns:
        A `VideoInfo`, with height and width as displayed, or the `Problem`.

    Raises:
        ValueError: If `how` is none of these.
    """
    if how not in WAYS:
        raise ValueError(f"`how` must be one of {WAYS}. Received: how={how!r}")
    path = Path(path)
    try:
        _check_file(path)
        with open_video(path, num_threads) as (container, stream):
            look = _decode_all if how == "decode" else _decode_first
            info = look(path, container, stream)
    except VideoError as error:
        return error.problem
    if info.num_frames < min_frames:
        return Problem(path, f"it is too short: {info.num_frames} of {min_frames} frames")
    return info


def inspect_videos(
    paths: Iterable[Path],
    min_frames: int = 1,
    how: str = "decode",
    num_threads: int | None = None,
) -> tuple[dict[Path, VideoInfo], list[Problem]]:
    """Inspect many files in parallel.

    Args:
        paths: The files.
        min_frames: As for `inspect_video`.
        how: As for `inspect_video`.
        num_threads: Files inspected at a time; `None` for one per processor, at most 8.

    Returns:
        The usable videos by path, and the problems in the order of `paths`.
    """
    once = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(num_threads or min(8, os.cpu_count() or 1)) as pool:
        found = list(pool.map(lambda path: inspect_video(path, min_frames, how), once))
    videos = {each.path: each for each in found if isinstance(each, VideoInfo)}
    return videos, [each for each in found if isinstance(each, Problem)]


def _check_file(path: Path) -> None:
    """Check the file without FFmpeg, whose error messages are less clear."""
    reason: str | None
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            reason = "it is not a file"
        elif status.st_size == 0:
            reason = "it is empty, 0 bytes"
        else:
            reason = structure_fault(path)
    except FileNotFoundError:
        reason = "there is no such file"
    except PermissionError:
        reason = "no permission to read it"
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
    if reason is not None:
        raise VideoError(Problem(path, reason))


def _decode_all(path: Path, container: Any, stream: Any) -> VideoInfo:
    if stream.codec_context.name == "mjpeg":
        # Otherwise the decoder replaces unreadable parts without an error.
        stream.codec_context.options = {"err_detect": "explode"}
    pictures, formats = Pictures(path, (16, 16)), set()
    times: list[int | None] = []
    keys: list[int] = []
    packets = _Packets(path, container)
    first: Any = None
    try:
        for frame in decoded_frames(packets, stream):
            if frame.is_corrupt or frame.format.name not in formats:
                pictures.of(frame)
                formats.add(frame.format.name)
            pictures.check_size(frame)
            first = first or frame
            keys += [len(times)] if frame.key_frame else []
            times.append(frame.pts)
    except av.FFmpegError as error:
        reason = f"it is damaged after {len(times)} frames: {error.strerror}"
        raise VideoError(Problem(path, reason)) from error
    if first is None:
        raise VideoError(Problem(path, "it has no frames"))
    missing = packets.num_shown - len(times)
    if missing > max(_FEW_PACKETS, _FEW * packets.num_shown):
        reason = f"it is damaged: {packets.num_shown} packets gave {len(times)} frames"
        raise VideoError(Problem(path, reason))
    key_frames = _key_frames(keys, times) if packets.all_timed else ()
    return _info(path, first, len(times), key_frames)


def _decode_first(path: Path, container: Any, stream: Any) -> VideoInfo:
    packets = _Packets(path, container)
    times: list[int | None] = []
    keys: list[int | None] = []
    first: Any = None
    try:
        for packet in packets.demux(stream):
            if first is None and packet.size:
                first = next(iter(stream.decode(packet)), None)
            if _is_shown(packet):
                times.append(packet.pts)
                keys += [packet.pts] if packet.is_keyframe else []
        first = first or next(iter(stream.decode(None)), None)
    except av.FFmpegError as error:
        reason = f"it is damaged after {len(times)} packets: {error.strerror}"
        raise VideoError(Problem(path, reason)) from error
    if first is None:
        raise VideoError(Problem(path, "it has no frames"))
    Pictures(path, (16, 16)).of(first)
    key_frames: tuple[KeyFrame, ...] = ()
    if packets.all_timed:
        ordered = sorted(time for time in times if time is not None)
        number = {time: position for position, time in enumerate(ordered)}
        key_frames = _key_frames([number[time] for time in keys if time is not None], ordered)
    return _info(path, first, len(times), key_frames)


class _Packets:
    """Passes the packets of a file to the decoder and counts them."""

    def __init__(self, path: Path, container: Any) -> None:
        self._path = path
        self._container = container
        self.num_shown = 0
        self.all_timed = True

    def demux(self, stream: Any) -> Iterable[Any]:
        for packet in self._container.demux(stream):
            if packet.is_corrupt:
                reason = f"it is truncated or damaged after {self.num_shown} packets"
                raise VideoError(Problem(self._path, reason))
            if _is_shown(packet):
                self.num_shown += 1
                self.all_timed &= packet.pts is not None
            yield packet


def _is_shown(packet: Any) -> bool:
    """Whether a packet holds a frame that is displayed."""
    if not packet.size or packet.is_discard:
        return False
    if packet.stream.codec_context.name == "vp8":
        # Reference frames that are not displayed have packets too (RFC 6386, section 9.1).
        return bool(memoryview(packet)[0] & 0x10)
    return True


def _key_frames(numbers: Sequence[int], times: Sequence[int | None]) -> tuple[KeyFrame, ...]:
    """Return the key frames to seek by their time; none if times are missing or not ascending."""
    if any(a is None or b is None or a >= b for a, b in pairwise(times)):
        return ()
    found: list[KeyFrame] = []
    for number in numbers:
        time = times[number]
        if time is not None and (not found or number - found[-1].number >= _KEY_FRAME_GAP):
            found.append(KeyFrame(number, time))
    return tuple(found)


def _info(path: Path, frame: Any, num_frames: int, keys: tuple[KeyFrame, ...]) -> VideoInfo:
    is_lying = round(frame.rotation / 90) % 2 == 1
    height, width = (frame.width, frame.height) if is_lying else (frame.height, frame.width)
    return VideoInfo(path, num_frames, height, width, keys)
