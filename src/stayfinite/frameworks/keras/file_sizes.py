"""How large a file of a model of Keras will be, before it is written."""

from __future__ import annotations

import math
import re
from typing import Any

from stayfinite.frameworks.keras import private

# Groups and headers of HDF5: measured are 23 kB, 3.3 kB for each variable of `save_weights`, and
# 2.2 kB for each layer, as one without variables has its groups, too.
_BYTES = 32 * 2**10
_BYTES_OF_VARIABLE = 4 * 2**10
_BYTES_OF_LAYER = 3 * 2**10


def written_variables(model: Any) -> list[Any]:
    """The variables of a model, and of its optimizer, which Keras writes also by `save_weights`."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer else ())]


def hdf5_bytes(model: Any) -> int:
    """About as much as a file of HDF5 of `model` takes, or a little more."""
    variables = written_variables(model)
    of_layers = _BYTES_OF_LAYER * len(private.flatten_layers(model))
    return _BYTES + of_layers + sum(_BYTES_OF_VARIABLE + _num_bytes(each) for each in variables)


def _num_bytes(variable: Any) -> int:
    bits = re.search(r"\d+", variable.dtype)
    size: int = math.prod(variable.shape)
    return size * (int(bits[0]) // 8 if bits else 1)
