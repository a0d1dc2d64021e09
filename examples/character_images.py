"""Letters of four scripts in the fonts of matplotlib as PNG files, one folder per letter.

Each letter is randomly rotated, scaled and shifted, in several fonts, so that two images of a
letter have few pixels in common.

python examples/character_images.py characters
stayfinite train siamese characters --backbone MobileNetV2 --weights none --size 32
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

# No two of them look alike: of the Greek and Cyrillic letters only those that Latin has not.
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "БДЖЗИЛЦЧШЩЪЫЬЭЮЯ" + "ΓΔΘΛΞΠΣΦΨΩαβγδεζηλμξπφψω"
LETTERS += "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ"
DRAWN = 128


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-letter", type=int, default=24, help="images")
    parser.add_argument("--side", type=int, default=32, help="pixels")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    fonts = sorted((Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVu*.ttf"))
    fonts = [font for font in fonts if "Display" not in font.name]  # those have formulas only
    for letter in LETTERS:
        part = options.folder / f"U+{ord(letter):04X}"
        part.mkdir(parents=True, exist_ok=True)
        for number in range(options.per_letter):
            image = drawn(letter, fonts[number % len(fonts)], random)
            image.resize((options.side, options.side), Image.Resampling.LANCZOS).save(
                part / f"{number:03}.png"
            )


def drawn(letter, font, random):
    """One image: white on black, turned by up to 25 degrees."""
    size = int(random.uniform(0.45, 0.8) * DRAWN)
    image = Image.new("L", (DRAWN, DRAWN))
    place = DRAWN / 2 + random.uniform(-0.1, 0.1, 2) * DRAWN
    ImageDraw.Draw(image).text(
        tuple(place), letter, fill=255, font=ImageFont.truetype(font, size), anchor="mm"
    )
    return image.rotate(random.uniform(-25, 25), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
