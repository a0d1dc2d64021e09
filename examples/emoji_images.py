"""Emoji as four type designers drew them, as PNG files, one folder per emoji.

The pictures of animals, plants, food, vehicles, buildings, sport and things come from four npm
packages: Google Noto, Twitter Twemoji, EmojiOne and Microsoft Fluent 3D. Two drawings of an emoji
have the subject in common, and often neither colours nor outline.

npm install emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 emojione@2.2.7 \
    @lobehub/fluent-emoji-3d@1.1.0
python examples/emoji_images.py emoji
stayfinite train siamese emoji --backbone EfficientNetLite0 --size 96
"""

import argparse
import json
from pathlib import Path

from PIL import Image

GOOGLE = "emoji-datasource-google"
CATEGORIES = ("Animals & Nature", "Food & Drink", "Travel & Places", "Activities", "Objects")
# The folder of each designer, and the ending of its files.
DESIGNERS = {
    "google": (f"{GOOGLE}/img/google/64", "png"),
    "twitter": ("emoji-datasource-twitter/img/twitter/64", "png"),
    "emojione": ("emojione/assets/png_128x128", "png"),
    "fluent": ("@lobehub/fluent-emoji-3d/assets", "webp"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, default=Path("node_modules"))
    parser.add_argument("--side", type=int, default=96, help="pixels")
    options = parser.parse_args()
    described = json.loads((options.packages / GOOGLE / "emoji.json").read_text(encoding="utf-8"))
    for emoji in described:
        if emoji["category"] not in CATEGORIES:
            continue
        drawings = drawings_of(emoji["unified"].lower(), options.packages)
        if len(drawings) < 2:
            continue
        part = options.folder / emoji["short_name"]
        part.mkdir(parents=True, exist_ok=True)
        for designer, path in drawings.items():
            on_white(path, options.side).save(part / f"{designer}.png")


def drawings_of(code, packages):
    """The file of each designer; some leave the variation selector out of the name."""
    found = {}
    for designer, (folder, ending) in DESIGNERS.items():
        for name in (code, code.replace("-fe0f", "")):
            path = packages / folder / f"{name}.{ending}"
            if path.is_file():
                found[designer] = path
                break
    return found


def on_white(path, side):
    with Image.open(path) as image:
        drawing = image.convert("RGBA").resize((side, side), Image.Resampling.LANCZOS)
    background = Image.new("RGBA", drawing.size, "white")
    return Image.alpha_composite(background, drawing).convert("RGB")


if __name__ == "__main__":
    main()
