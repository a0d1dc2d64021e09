"""The handwritten digits of scikit-learn as PNG files, one folder per class.

python examples/digit_images.py digits
stayfinite train siamese digits --backbone MobileNetV2 --weights none --size 32
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--side", type=int, default=32, help="pixels")
    options = parser.parse_args()
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        part = options.folder / str(label)
        part.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray(np.uint8(image * 15.9))
        grey.resize((options.side, options.side)).save(part / f"{number:04}.png")


if __name__ == "__main__":
    main()
