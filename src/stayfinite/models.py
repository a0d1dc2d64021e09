"""Reference networks: the public name of `stayfinite.networks.models`."""

from stayfinite.networks.models import *  # noqa: F403 - the names of `__all__`, and no others
from stayfinite.networks.models import __all__ as __all__
