"""How large a file of a model of Keras will be, before it is written."""

from __future__ import annotations

import math
import re
from typing import Any

# Groups and headers of HDF5: measured are 23 kB, and 3.3 kB for each variable of `save_weights`.
_BYTES = 32 * 2**10
_BYTES_OF_VARIABLE = 4 * 2**10


def written_variables(model: Any) -> list[Any]:
    """The variables of a model, and of its optimizer, which Keras writes also by `save_weights`."""
    optimizer = getattr(model, "optimizer", None)
    return [*model.variables, *(optimizer.variables if optimizer else ())]


def hdf5_bytes(model: Any) -> int:
    """About as much as a file of HDF5 of `model` takes, or a little more."""
    variables = written_variables(model)
    return _BYTES + sum(_BYTES_OF_VARIABLE + _num_bytes(each) for each in variables)


def _num_bytes(variable: Any) -> int:
    bits = re.search(r"\d+", variable.dtype)
    size: int = math.prod(variable.shape)
    return size * (int(bits[0]) // 8 if bits else 1)
