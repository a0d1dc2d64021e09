"""Decoded clips a second: `python -m benchmarks.decoding [FOLDER]`.

`ClipDataset` against a bare PyAV loop that does the same work: the same videos, seeks, frames,
sizes, windows and numbers, checked to be equal. Then the memory after each of many epochs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from benchmarks import blocks, memory
from stayfinite.networks.data import ClipDataset

LENGTH, SIZE, RESIZE, BATCH_SIZE = 16, 112, 128, 8
NUM_VIDEOS, NUM_FRAMES, HEIGHT, WIDTH = 24, 180, 240, 320


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding")
    parser.add_argument("folder", nargs="?", type=Path, help="one sub-folder a class of videos")
    parser.add_argument("--blocks", type=int, default=10, metavar="N", help="pairs of epochs")
    parser.add_argument("--epochs", type=int, default=30, metavar="N", help="to watch the memory")
    parser.add_argument("--videos", type=int, default=NUM_VIDEOS, metavar="N", help="to encode")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all numbers as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.folder is None:
            encode(Path(folder), options.videos)
        answer = measure(options.folder or Path(folder), options.blocks, options.epochs)
    print(render(answer))
    if options.json is not None:
        options.json.write_text(json.dumps(answer, indent=1) + "\n")


def encode(folder: Path, num_videos: int) -> None:
    """Videos like those of UCF101: 320 x 240 pixels, a few seconds, H.264."""
    rng = np.random.default_rng(0)
    (folder / "class").mkdir(parents=True)
    for number in range(num_videos):
        coarse = rng.integers(0, 256, (40, 50, 3), "uint8")
        field = av.VideoFrame.from_ndarray(coarse, format="rgb24").reformat(
            2 * WIDTH, 2 * HEIGHT, interpolation="BICUBIC"
        )
        field = field.to_ndarray()
        with av.open(str(folder / "class" / f"{number}.mp4"), "w") as output:
            stream = output.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for n in range(NUM_FRAMES):
                picture = np.ascontiguousarray(field[n : n + HEIGHT, n : n + WIDTH])
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = n, Fraction(1, 25)
                output.mux(stream.encode(frame.reformat(format="yuv420p")))
            output.mux(stream.encode(None))


def measure(folder: Path, num_blocks: int, num_epochs: int) -> dict[str, Any]:
    """All numbers of one folder."""
    one = clips_of(folder, num_threads=1)
    all_threads = clips_of(folder)
    check_equal(one)
    rows = []
    for dataset, name, threads in ((one, "1 thread", 1), (all_threads, "all processors", 0)):
        bare = f"bare PyAV loop, {name}"
        variants = {
            bare: timed(lambda d=dataset, t=threads: bare_epoch(d, t)),
            f"ClipDataset, {name}": timed(lambda d=dataset: whole_epoch(d)),
        }
        for block in variants.values():
            block()
        times = blocks.in_turns(variants, num_blocks, bare)
        for timing in blocks.timings(times, bare):
            speed = dataset.num_clips / timing.step_seconds
            ratios = [1 / ratio for ratio in timing.ratios]
            rows.append({"variant": timing.variant, "clips_a_second": speed, "ratios": ratios})
    return {
        "processors": os.cpu_count(),
        "pyav": av.__version__,
        "videos": one.num_clips,
        "left_out": [str(problem) for problem in one.problems],
        "rows": rows,
        "resident_bytes": resident_over_epochs(all_threads, num_epochs),
    }


def clips_of(folder: Path, **threads: int) -> ClipDataset:
    return ClipDataset(folder, LENGTH, 1, SIZE, RESIZE, BATCH_SIZE, **threads)


def timed(epoch: Callable[[], None]) -> Callable[[], float]:
    def block() -> float:
        start = time.perf_counter()
        epoch()
        return time.perf_counter() - start

    return block


def whole_epoch(dataset: ClipDataset) -> None:
    for number in range(len(dataset)):
        _ = dataset[number]


def bare_epoch(dataset: ClipDataset, num_threads: int) -> None:
    for number in range(len(dataset)):
        bare_batch(dataset, number, num_threads)


def bare_batch(dataset: ClipDataset, number: int, num_threads: int) -> np.ndarray:
    """What someone would write by hand for this batch, with the draws of the data set."""
    return np.stack([bare_clip(dataset, n, num_threads) for n in dataset._rows(number)])


def bare_clip(dataset: ClipDataset, number: int, num_threads: int) -> np.ndarray:
    video, cut = dataset._videos[number], dataset._cut(number)
    start = cut.frame_numbers(video.num_frames, LENGTH, 1)[0]
    key = [key for key in video.key_frames if key.number <= start][-1]
    scale = RESIZE / min(video.height, video.width)
    height, width = round(video.height * scale), round(video.width * scale)
    pictures, convert = [], VideoReformatter().reformat
    with av.open(str(video.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.thread_count = "AUTO", num_threads
        if key.number:
            container.seek(key.time, stream=stream)
        for position, frame in enumerate(container.decode(stream), key.number):
            if position >= start:
                pictures.append(convert(frame, width, height, "rgb24", threads=1).to_ndarray())
            if len(pictures) == LENGTH:
                break
    clip = np.stack(pictures)
    top, left = int(cut.top * (height - SIZE + 1)), int(cut.left * (width - SIZE + 1))
    clip = clip[:, top : top + SIZE, left : left + SIZE]
    return np.multiply(clip[:, :, ::-1] if cut.is_mirrored else clip, np.float32(1 / 255))


def check_equal(dataset: ClipDataset) -> None:
    """A comparison of unequal work would say nothing."""
    for number in range(len(dataset)):
        np.testing.assert_array_equal(bare_batch(dataset, number, 1), dataset[number][0])


def resident_over_epochs(dataset: ClipDataset, num_epochs: int) -> list[int]:
    found = []
    for epoch in range(num_epochs):
        dataset.epoch = epoch
        whole_epoch(dataset)
        found.append(memory.resident_bytes())
    return found


def render(answer: dict[str, Any]) -> str:
    """The table."""
    title = f"{answer['videos']} videos, PyAV {answer['pyav']}, {answer['processors']} processors"
    lines = [f"{title:<48}{'clips/s':>9}{'ratio':>8}{'min':>8}{'max':>8}{'pairs':>7}"]
    for row in answer["rows"]:
        cells = f"  {row['variant']:<46}{row['clips_a_second']:9.1f}"
        if ratios := row["ratios"]:
            figures = statistics.median(ratios), min(ratios), max(ratios)
            cells += "".join(f"{figure:8.3f}" for figure in figures) + f"{len(ratios):7}"
        lines.append(cells)
    resident = [f"{one / 2**20:.0f}" for one in answer["resident_bytes"]]
    shown = resident if len(resident) < 8 else resident[:: len(resident) // 6]
    lines.append(f"  resident MiB over {len(resident)} epochs: {' '.join(shown)} {resident[-1]}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
