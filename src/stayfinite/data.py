"""Clips and triplets from files: the public name of `stayfinite.networks.data`.

Each name is imported at its first use, so neither PyAV nor Pillow is imported here.
"""

from typing import TYPE_CHECKING

from stayfinite.networks import data as _data
from stayfinite.networks.data import __all__ as __all__

if TYPE_CHECKING:
    from stayfinite.networks.data import (
        ClassBatches as ClassBatches,
    )
    from stayfinite.networks.data import (
        ClipDataset as ClipDataset,
    )
    from stayfinite.networks.data import (
        ImageBatches as ImageBatches,
    )
    from stayfinite.networks.data import (
        Item as Item,
    )
    from stayfinite.networks.data import (
        Items as Items,
    )
    from stayfinite.networks.data import (
        Problem as Problem,
    )
    from stayfinite.networks.data import (
        TripletDataset as TripletDataset,
    )
    from stayfinite.networks.data import (
        VideoError as VideoError,
    )
    from stayfinite.networks.data import (
        VideoInfo as VideoInfo,
    )
    from stayfinite.networks.data import (
        inspect_image as inspect_image,
    )
    from stayfinite.networks.data import (
        inspect_images as inspect_images,
    )
    from stayfinite.networks.data import (
        inspect_video as inspect_video,
    )
    from stayfinite.networks.data import (
        inspect_videos as inspect_videos,
    )
    from stayfinite.networks.data import (
        read_frames as read_frames,
    )
    from stayfinite.networks.data import (
        read_image as read_image,
    )
    from stayfinite.networks.data import (
        read_items as read_items,
    )
    from stayfinite.networks.data import (
        split_classes as split_classes,
    )
    from stayfinite.networks.data import (
        split_files as split_files,
    )


def __getattr__(name: str) -> object:
    # Public names only: with `__path__` this module would be a package, and load each file twice.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_data, name)


def __dir__() -> list[str]:
    return sorted(__all__)
