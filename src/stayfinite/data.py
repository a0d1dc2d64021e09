"""Clips and triplets from files: the public name of `stayfinite.networks.data`.

Each name is imported at its first use, so neither PyAV nor Pillow is imported here.
"""

from typing import TYPE_CHECKING

from stayfinite.networks import data as _data
from stayfinite.networks.data import __all__ as __all__

if TYPE_CHECKING:
    from stayfinite.networks.data import *  # noqa: F403 - the names of `__all__`, and no others


def __getattr__(name: str) -> object:
    # Public names only: with `__path__` this module would be a package, and load each file twice.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_data, name)


def __dir__() -> list[str]:
    return sorted(__all__)
