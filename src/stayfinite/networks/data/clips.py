"""Clips cut from video files, with the class of the file, as a data set for `fit`."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from stayfinite.errors import UsageError
from stayfinite.networks.data.clip_transform import Cut, Normalization, Normalize, span
from stayfinite.networks.data.inspection import WAYS, VideoInfo, Videos, inspect_videos
from stayfinite.networks.data.items import Items, Problem, read_items
from stayfinite.networks.data.seeded import SeededDataset
from stayfinite.networks.data.videos import SUFFIXES, VideoError, read_frames

PROBLEMS = ("leave out", "raise")
LABELS = ("int", "one_hot")
_NUM_NAMED = 3
# Different seeds for the order and for the clips.
_ORDER, _CUT = 0, 1


class ClipDataset(SeededDataset):
    """One clip of each video, in batches.

    For training, a clip is cut at a random time and position and mirrored at random; otherwise it
    is cut in the middle. The draws depend on `seed`, the epoch and the video only, not on the
    number of workers. The last batch may be smaller.

    Args:
        source: A folder with one sub-folder a class, a CSV list of `path` and `label`, or `Items`,
            such as a part of `split_files`.
        clip_length: Frames in a clip.
        frame_stride: Distance in the video between two frames of a clip.
        size: Side of the clips in pixels, or `(height, width)`.
        resize: The shorter side of the frames before they are cut to `size`; `None` makes them
            `size` directly and may change their aspect ratio.
        batch_size: Clips in a batch.
        training: Whether time, position and mirroring are random.
        shuffle: Whether each epoch has another order; `None` means the value of `training`.
        flip: Whether clips may be mirrored left to right for training.
        normalize: `"unit"`, `"clip"`, a pair `(mean, std)` or `None`; see `Normalization`.
        labels: `"int"` for int32 numbers of the classes, `"one_hot"` for float32 rows.
        loop_short: Whether a video that is too short is repeated; otherwise it is a problem.
        problems: What to do about a video that cannot be used: `"leave out"` or `"raise"`. This
            includes a video that becomes unreadable during the training, for which a warning is
            issued once. With worker processes, `problems` does not list those.
        inspect: `"decode"` decodes every video before the training. `"header"` reads the first
            frame and the packets, and other damage is found during the training. Or the videos that
            `inspect_videos` returned, which are not inspected again.
        seed: A whole number, 0 or more.
        num_threads: Threads for the videos of a batch. `None` means one per processor, or one if
            `workers` run in parallel.
        workers: As of `keras.utils.PyDataset`, with `use_multiprocessing` and `max_queue_size`;
            see `SeededDataset` before a `fit` with workers. `num_threads` works without them.

    Raises:
        UsageError: If no video can be used, or one cannot and `problems` is `"raise"`.
        ValueError: If an argument is none of the above.

    Example:

    >>> clips = stayfinite.data.ClipDataset("videos", clip_length=16, size=112, batch_size=8)
    >>> x, y = clips[0]
    >>> x.shape, y.shape
    ((8, 16, 112, 112, 3), (8,))
    >>> model.fit(clips, epochs=10)
    """

    def __init__(
        self,
        source: Items | str | Path,
        clip_length: int = 16,
        frame_stride: int = 1,
        size: int | tuple[int, int] = 112,
        resize: int | None = 128,
        batch_size: int = 8,
        *,
        training: bool = True,
        shuffle: bool | None = None,
        flip: bool = True,
        normalize: Normalize = "unit",
        labels: str = "int",
        loop_short: bool = False,
        problems: str = "leave out",
        inspect: str | Videos = "decode",
        seed: int = 0,
        num_threads: int | None = None,
        **workers: Any,
    ) -> None:
        self.shuffle = training if shuffle is None else shuffle
        super().__init__(seed, not (training or self.shuffle), **workers)
        self.clip_length = _at_least_1("clip_length", clip_length)
        self.frame_stride = _at_least_1("frame_stride", frame_stride)
        self.batch_size = _at_least_1("batch_size", batch_size)
        self.num_threads = None if num_threads is None else _at_least_1("num_threads", num_threads)
        self.size = _height_and_width(size)
        self.resize = None if resize is None else _at_least_1("resize", resize)
        if resize is not None and max(self.size) > resize:
            raise ValueError(
                f"`size` must fit into frames whose shorter side is `resize`. Received: "
                f"size={size}, resize={resize}"
            )
        self.training = training
        self.flip = flip
        self.labels = _one_of("labels", labels, LABELS)
        self._normalization = Normalization(normalize)
        self._is_strict = _one_of("problems", problems, PROBLEMS) == "raise"
        min_frames = 1 if loop_short else span(clip_length, frame_stride)
        self._take(source, min_frames, inspect)

    def _take(self, source: Items | str | Path, min_frames: int, inspect: str | Videos) -> None:
        items = source if isinstance(source, Items) else read_items(source, SUFFIXES)
        found = inspect
        if isinstance(found, str):
            how = _one_of("inspect", found, WAYS)
            paths = [item.path for item in items.items]
            found, problems = inspect_videos(paths, min_frames, how)
            items = items.without(problems)
        if items.problems and self._is_strict:
            raise UsageError(
                f"{_summary(items.problems)}; repair or remove them, or leave them out with "
                "problems='leave out'"
            )
        if not items.items:
            raise UsageError(f"expected videos; none can be used: {_summary(items.problems)}")
        self.classes = items.classes
        self._found_before = items.problems
        self._found_since: dict[Path, Problem] = {}
        self._videos: tuple[VideoInfo, ...] = tuple(found[item.path] for item in items.items)
        self._numbers = items.labels.astype("int32")

    @property
    def num_clips(self) -> int:
        """The number of clips in an epoch: the usable videos at the start."""
        return len(self._videos)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The files that are not used, with the reason."""
        return self._found_before + tuple(self._found_since.values())

    def __len__(self) -> int:
        return math.ceil(self.num_clips / self.batch_size)

    def __getitem__(self, batch_index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a batch.

        Returns:
            Clips, float32 of shape `(clips, clip_length, height, width, 3)`, and labels: int32 of
            shape `(clips,)` or float32 of shape `(clips, number of classes)`.

        Raises:
            UsageError: If a video cannot be decoded and `problems` is `"raise"`, or no video of the
                batch can be decoded.
        """
        videos = self._rows(batch_index)
        clips = self._clips(videos)
        rows = [n for n, clip in zip(videos, clips, strict=True) if clip is not None]
        if not rows:
            raise UsageError(
                f"no video of batch {batch_index} can be decoded: "
                f"{_summary(tuple(self._found_since.values()))}"
            )
        labels = self._numbers[rows]
        if self.labels == "one_hot":
            labels = np.eye(len(self.classes), dtype="float32")[labels]
        return np.stack([clip for clip in clips if clip is not None]), labels

    def files_of(self, batch_index: int) -> list[Path]:
        """Return the file of each sample of a batch of this epoch."""
        return [self._videos[n].path for n in self._rows(batch_index)]

    def _rows(self, batch_index: int) -> list[int]:
        """Return the numbers of the videos of a batch, without those found unusable since."""
        start = self._checked_index(batch_index) * self.batch_size
        chosen = self._of_epoch()[start : start + self.batch_size].tolist()
        return [n for n in chosen if self._videos[n].path not in self._found_since]

    def _drawn(self) -> np.ndarray:
        """Draw the order of the videos in this epoch."""
        order = np.arange(self.num_clips)
        return self._random(_ORDER).permutation(order) if self.shuffle else order

    def _clips(self, videos: Sequence[int]) -> list[np.ndarray | None]:
        num_threads = self._threads()
        if min(num_threads, len(videos)) < 2:
            return [self._clip(n, num_threads) for n in videos]
        # One thread per video, because a decoder gains little from many threads; two for its
        # decoder, so that the last video of a batch leaves no processor idle.
        with ThreadPoolExecutor(min(num_threads, len(videos))) as pool:
            share = max(2, num_threads // len(videos))
            return list(pool.map(lambda n: self._clip(n, share), videos))

    def _threads(self) -> int:
        if self.num_threads is not None:
            return self.num_threads
        if self.workers > 1 or self.use_multiprocessing:
            return 1
        if hasattr(os, "sched_getaffinity"):  # respects the limit of a container
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def _clip(self, number: int, num_threads: int) -> np.ndarray | None:
        """Read one clip; None if its video became unreadable and may be left out."""
        video, cut = self._videos[number], self._cut(number)
        frames = cut.frame_numbers(video.num_frames, self.clip_length, self.frame_stride)
        try:
            clip = read_frames(
                video.path,
                frames,
                resize=self.size if self.resize is None else self.resize,
                key_frames=video.key_frames,
                num_threads=num_threads,
            )
        except VideoError as error:
            self._leave_out(error)
            return None
        return self._normalization(cut.window(clip, *self.size))

    def _cut(self, number: int) -> Cut:
        if not self.training:
            return Cut()
        return Cut.drawn(self._random(_CUT, number), self.flip)

    def _leave_out(self, error: VideoError) -> None:
        problem = error.problem
        if self._is_strict:
            raise UsageError(f"a video became unreadable since inspection: {problem}") from error
        # Two batches may find it at the same time; the first one warns.
        if self._found_since.setdefault(problem.path, problem) is problem:
            warnings.warn(f"a video is left out from now on: {problem}", stacklevel=2)


def _summary(problems: tuple[Problem, ...]) -> str:
    """Return a line with the number of problems and the first of them."""
    if not problems:
        return "no file was found"
    more = len(problems) - _NUM_NAMED
    reasons = "; ".join(str(problem) for problem in problems[:_NUM_NAMED])
    files = "1 file cannot" if len(problems) == 1 else f"{len(problems)} files cannot"
    return f"{files} be used: {reasons}" + (f"; and {more} more" if more > 0 else "")


def _at_least_1(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{name}` must be a whole number, 1 or more. Received: {name}={value!r}")
    return value


def _height_and_width(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return _at_least_1("size", height), _at_least_1("size", width)


def _one_of(name: str, value: str, values: tuple[str, ...]) -> str:
    if value not in values:
        raise ValueError(f"`{name}` must be one of {values}. Received: {name}={value!r}")
    return value
