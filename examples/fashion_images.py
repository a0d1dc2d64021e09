"""Fashion-MNIST from its Debian package as PNG files, one folder per class.

sudo apt install dataset-fashion-mnist
python examples/fashion_images.py fashion --per-class 300
stayfinite train siamese fashion --backbone MobileNetV2 --weights none --size 32
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ["top", "trouser", "pullover", "dress", "coat"]
NAMES += ["sandal", "shirt", "sneaker", "bag", "boot"]
IMAGE_HEADER, LABEL_HEADER, SIDE = 16, 8, 28


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--source",
        type=Path,
        default=Path("/usr/share/datasets/fashion-mnist"),
        help="where the package has put its *-ubyte.gz",
    )
    parser.add_argument("--per-class", type=int, default=6000, help="images, at most")
    parser.add_argument("--side", type=int, default=32, help="pixels")
    options = parser.parse_args()
    images, labels = read(options.source)
    for label, name in enumerate(NAMES):
        part = options.folder / name
        part.mkdir(parents=True, exist_ok=True)
        for number in np.flatnonzero(labels == label)[: options.per_class]:
            image = Image.fromarray(images[number]).resize((options.side, options.side))
            image.save(part / f"{number:05}.png")


def read(source):
    """The 60,000 training images and their labels, from files in the format of MNIST."""
    files = [source / f"train-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SystemExit(f"not there: {', '.join(missing)}; install dataset-fashion-mnist")
    images, labels = (np.frombuffer(gzip.decompress(f.read_bytes()), np.uint8) for f in files)
    return images[IMAGE_HEADER:].reshape(-1, SIDE, SIDE), labels[LABEL_HEADER:]


if __name__ == "__main__":
    main()
