"""Small real videos to test with. Every pixel says where it is: red the frame, green x, blue y."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25

# How to write each container: codec, pixel format, options of the codec.
LOSSY = {
    "h264.mp4": ("libx264", "yuv420p", {"bf": "2"}),
    "h264.m4v": ("libx264", "yuv420p", {}),
    "open_gop.mkv": ("libx264", "yuv420p", {"x264-params": "open-gop=1:bframes=3:scenecut=0"}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {}),
    "mpeg4_b_frames.avi": ("mpeg4", "yuv420p", {"bf": "2"}),
    "mpeg4.mov": ("mpeg4", "yuv420p", {}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "vp8.webm": (
        "libvpx",
        "yuv420p",
        {"auto-alt-ref": "1", "lag-in-frames": "16", "cpu-used": "8"},
    ),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {"cpu-used": "8"}),
}
LOSSLESS = {
    "ffv1.mkv": ("ffv1", "bgr0", {}),
    "png.avi": ("png", "rgb24", {}),
    "raw.avi": ("rawvideo", "bgr24", {}),
    "png.mov": ("png", "rgb24", {}),
}
ALL = LOSSY | LOSSLESS


def numbered(num_frames, height=32, width=48, start=0):
    """Frames whose red is their number, green their column and blue their row."""
    pictures = np.zeros((num_frames, height, width, 3), "uint8")
    pictures[..., 0] = (start + np.arange(num_frames))[:, None, None]
    pictures[..., 1] = np.arange(width)
    pictures[..., 2] = np.arange(height)[:, None]
    return pictures


def noise(num_frames, height=96, width=128, seed=0):
    """A window that moves over a field of noise: hard to compress, and no two frames are equal."""
    field = np.random.default_rng(seed).integers(
        0, 256, (height + num_frames, width + num_frames, 3), "uint8"
    )
    return np.stack([field[n : n + height, n : n + width] for n in range(num_frames)])


def write(
    path,
    pictures,
    codec="ffv1",
    pix_fmt="bgr0",
    options=None,
    *,
    gop=12,
    times=None,
    rotation=None,
    num_seconds_of_audio=0,
    container=None,
    container_options=None,
):
    """Encode uint8 pictures `(frames, height, width, 3)`; gives the path back."""
    height, width = np.shape(pictures)[1:3]
    opened = av.open(str(path), "w", format=container, options=container_options or {})
    with opened as output:
        stream = output.add_stream(codec, rate=RATE, options=dict(options or {}))
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, pix_fmt, gop
        if rotation is not None:
            stream.set_display_rotation(rotation)
        audio = output.add_stream("aac", rate=8000) if num_seconds_of_audio else None
        output.start_encoding()
        for n, picture in enumerate(pictures):
            frame = _frame(picture, pix_fmt)
            frame.pts = n if times is None else times[n]
            frame.time_base = Fraction(1, RATE)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if audio is not None:
            write_silence(output, audio, num_seconds_of_audio)
    return path


def write_as(name, folder, pictures, **more):
    """Encode under a name of `ALL`."""
    codec, pix_fmt, options = ALL[name]
    return write(folder / name, pictures, codec, pix_fmt, options, **more)


def write_sizes(path, groups):
    """JPEG frames of several sizes in one stream."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=RATE)
        stream.height, stream.width = groups[0].shape[1:3]
        stream.pix_fmt = "yuvj420p"
        output.start_encoding()
        number = 0
        for pictures in groups:
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.height, encoder.width = pictures.shape[1:3]
            encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, RATE)
            for picture in pictures:
                frame = _frame(picture, "yuvj420p")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                number += 1
                for packet in encoder.encode(frame):
                    packet.stream = stream
                    output.mux(packet)
    return path


def _frame(picture, pix_fmt):
    if pix_fmt == "pal8":
        palette = np.stack([np.arange(256)] * 4, axis=1).astype("uint8")
        return av.VideoFrame.from_ndarray((picture[..., 0].copy(), palette), format="pal8")
    if pix_fmt == "rgb4":  # which nothing converts to
        return av.VideoFrame(picture.shape[1], picture.shape[0], "rgb4")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame if pix_fmt == "rgb24" else frame.reformat(format=pix_fmt)


def write_silence(output, audio, num_seconds):
    for n in range(num_seconds * 8):
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1000), "float32"), "fltp", "mono")
        sound.sample_rate, sound.pts = 8000, 1000 * n
        output.mux(audio.encode(sound))
    output.mux(audio.encode(None))


def cut(path: Path, fraction: float) -> Path:
    """Keep the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    return path


def overwrite(path: Path, fraction: float, content: bytes) -> Path:
    """Write something else into a file, at a place inside of it."""
    with path.open("r+b") as file:
        file.seek(int(fraction * path.stat().st_size))
        file.write(content)
    return path
