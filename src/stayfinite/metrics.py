"""Metrics of embeddings: the public name of `stayfinite.networks.metrics`."""

from stayfinite.networks.metrics import *  # noqa: F403 - the names of `__all__`, and no others
from stayfinite.networks.metrics import __all__ as __all__
