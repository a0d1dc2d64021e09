"""Losses for embeddings: the public name of `stayfinite.networks.losses`."""

from stayfinite.networks.losses import *  # noqa: F403 - the names of `__all__`, and no others
from stayfinite.networks.losses import __all__ as __all__
