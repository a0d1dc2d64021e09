"""The garbage collector while a step is explained."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# Collections of the second generation for one of all objects: more than there will be.
_NEVER = 1_000_000


@contextmanager
def without_full_collections() -> Iterator[None]:
    """Inside the block the collector leaves old objects out; it collects young ones. A program with
    a framework has half a million old objects. A search of them takes a fifth of a second, and the
    modules and graphs of an explanation are enough new objects to cause one.
    """
    before = gc.get_threshold()
    gc.set_threshold(before[0], before[1], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
