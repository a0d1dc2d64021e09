"""Arrays by name as a file of safetensors."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
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
    with errors_of_the_disk(path):
        save_file(dict(arrays), path)


@contextlib.contextmanager
def errors_of_the_disk(path: Path) -> Iterator[None]:
    """Raise what safetensors reports of a full disk, by a class of its own, as an `OSError`.

    Args:
        path: The file that is written in the block.

    Raises:
        OSError: The file could not be written.
    """
    try:
        yield
    except SafetensorError as error:
        found = _NUMBER.search(str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error
