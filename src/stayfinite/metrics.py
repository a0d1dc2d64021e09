"""Metrics of embeddings: the public name of `stayfinite.networks.metrics`."""

from stayfinite.networks.metrics import *  # noqa: F403
from stayfinite.networks.metrics import __all__ as __all__
