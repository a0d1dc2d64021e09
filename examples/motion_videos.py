"""Videos of moving images, one folder per class; single frames do not show the class.

    python examples/motion_videos.py videos
    stayfinite train resnet3d videos --size 32 --resize 32 --clip-length 8 --no-flip

The images are the handwritten digits of scikit-learn. Each moves to the left, right, up or down,
re-entering at the opposite edge, or rotates about its centre. The start is random, so the frames of
all classes look alike. Without `--no-flip` the training would mirror videos, and exchange movements
to the left and to the right.
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

SHIFTS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
TURNS = {"clockwise": -1, "counterclockwise": 1}
FRAMES_PER_SECOND = 12


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--suffix", default=".mp4", choices=[".mp4", ".avi", ".mkv"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    digits = load_digits().images
    for name in (*SHIFTS, *TURNS):
        part = options.folder / name
        part.mkdir(parents=True, exist_ok=True)
        for number in range(options.per_class):
            digit = digits[rng.integers(len(digits))]
            frames = render(name, digit, options.frames, options.side, rng)
            write(part / f"{number:04}{options.suffix}", frames)


def render(name, digit, num_frames, side, rng):
    """Frames of shape (num_frames, side, side, 3), uint8."""
    canvas = textured(digit, side, rng)
    start, speed = rng.integers(0, side, 2), rng.uniform(0.04, 0.08) * side
    angle, turn = rng.uniform(0, 360), rng.uniform(8, 16)
    frames = []
    for number in range(num_frames):
        if name in SHIFTS:
            moved = start + np.round(number * speed * np.array(SHIFTS[name])).astype(int)
            frames.append(np.roll(canvas, moved, axis=(0, 1)))
        else:
            image = Image.fromarray(np.roll(canvas, start, axis=(0, 1)))
            degrees = angle + TURNS[name] * turn * number
            frames.append(np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR)))
    return np.stack(frames)


def textured(digit, side, rng):
    """A digit in one colour on a background in another, over half of the frame."""
    ink, paper = rng.uniform(140, 255, 3), rng.uniform(0, 90, 3)
    half = Image.fromarray((digit * 15.9).astype("uint8")).resize((side // 2, side // 2))
    cover = np.zeros((side, side))
    cover[side // 4 : side // 4 + side // 2, side // 4 : side // 4 + side // 2] = half
    share = cover[..., None] / 255
    return (share * ink + (1 - share) * paper).astype("uint8")


def write(path, frames):
    codec = "mpeg4" if path.suffix == ".avi" else "libx264"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(FRAMES_PER_SECOND))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
