"""Clips from videos and triplets from images, as `keras.utils.PyDataset`.

Every name below is imported at its first use: images can be read without PyAV installed, and
videos without Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stayfinite.networks.data.clips import ClipDataset
    from stayfinite.networks.data.image_batches import ClassBatches, ImageBatches
    from stayfinite.networks.data.images import inspect_image, inspect_images, read_image
    from stayfinite.networks.data.inspection import VideoInfo, inspect_video, inspect_videos
    from stayfinite.networks.data.items import (
        Item,
        Items,
        Problem,
        read_items,
        split_classes,
        split_files,
    )
    from stayfinite.networks.data.triplets import TripletDataset
    from stayfinite.networks.data.videos import VideoError, read_frames

__all__ = [
    "ClassBatches",
    "ClipDataset",
    "ImageBatches",
    "Item",
    "Items",
    "Problem",
    "TripletDataset",
    "VideoError",
    "VideoInfo",
    "inspect_image",
    "inspect_images",
    "inspect_video",
    "inspect_videos",
    "read_frames",
    "read_image",
    "read_items",
    "split_classes",
    "split_files",
]

_HOME = {
    "ClassBatches": "stayfinite.networks.data.image_batches",
    "ClipDataset": "stayfinite.networks.data.clips",
    "ImageBatches": "stayfinite.networks.data.image_batches",
    "Item": "stayfinite.networks.data.items",
    "Items": "stayfinite.networks.data.items",
    "Problem": "stayfinite.networks.data.items",
    "TripletDataset": "stayfinite.networks.data.triplets",
    "VideoError": "stayfinite.networks.data.videos",
    "VideoInfo": "stayfinite.networks.data.inspection",
    "inspect_image": "stayfinite.networks.data.images",
    "inspect_images": "stayfinite.networks.data.images",
    "inspect_video": "stayfinite.networks.data.inspection",
    "inspect_videos": "stayfinite.networks.data.inspection",
    "read_frames": "stayfinite.networks.data.videos",
    "read_image": "stayfinite.networks.data.images",
    "read_items": "stayfinite.networks.data.items",
    "split_classes": "stayfinite.networks.data.items",
    "split_files": "stayfinite.networks.data.items",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    # Stored, so that the next look-up finds an ordinary attribute.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
