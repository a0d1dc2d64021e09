"""Clips and triplets from files: the public name of `stayfinite.networks.data`.

Each name is loaded at its first use, as in that package: neither PyAV nor Pillow is imported here.
"""

from typing import TYPE_CHECKING

from stayfinite.networks import data as _data
from stayfinite.networks.data import __all__ as __all__

if TYPE_CHECKING:
    from stayfinite.networks.data import *  # noqa: F403


def __getattr__(name: str) -> object:
    # Only public names: `__path__` would make this module a package, and each file load twice.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_data, name)


def __dir__() -> list[str]:
    return sorted(__all__)
