"""The arrays of a safetensors file that may be hostile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stayfinite.checkpoints import safetensors
from stayfinite.checkpoints.counting import DAMAGED, reason
from stayfinite.checkpoints.stored import Budget
from stayfinite.errors import UsageError
from stayfinite.files.reading import num_stored, open_regular


def load(path: Path) -> dict[str, np.ndarray]:
    """Every array of a safetensors file, by name, in memory of its own.

    Raises:
        UsageError: The file is missing, damaged, or states far more values than it has bytes.
    """
    try:
        with open_regular(path) as file:
            return safetensors.arrays(file, Budget(num_stored(file)))
    except DAMAGED as error:
        raise UsageError(
            f"{path}: cannot be read as a .safetensors file: {reason(error)}"
        ) from None
