"""Arrays by name as a file of safetensors."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

_NUMBER = re.compile(r"os error (\d+)")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write `arrays`, each contiguous.

    Raises:
        OSError: the file could not be written.
    """
    try:
        save_file(dict(arrays), path)
    except SafetensorError as error:
        # It also reports a full disk by this class, which is no `OSError`.
        found = _NUMBER.search(str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error
