"""Real images on disk: the handwritten digits of scikit-learn, a folder a class."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

digits = cache(load_digits)


def digit(number):
    """One digit, 16 x 16 gray, uint8."""
    return np.kron(digits().images[number] * 15.9375, np.ones((2, 2))).astype("uint8")


def write_digits(folder, sizes):
    """PNG files of digits: for each class as many as `sizes` says, `{class: number}`."""
    labels = digits().target
    for label, size in sizes.items():
        part = Path(folder) / f"digit{label}"
        part.mkdir(parents=True)
        for number in np.flatnonzero(labels == label)[:size]:
            Image.fromarray(digit(number)).save(part / f"{number:04}.png")
    return Path(folder)


def scale(images):
    """A preprocessing that can be pickled, and changes its argument in place."""
    images -= 127.5
    images /= 127.5
    return images[..., ::-1]
