"""Reference networks: the public name of `stayfinite.networks.models`."""

from stayfinite.networks.models import *  # noqa: F403
from stayfinite.networks.models import __all__ as __all__
