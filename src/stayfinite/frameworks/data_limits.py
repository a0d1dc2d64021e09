"""Why another process may get other data than a training had; `report/wording/checkpoints.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class DataLimit(Enum):
    """What cannot be saved of the data."""

    GENERATOR = auto()  # its position
    NO_SEED = auto()  # of TensorFlow, which shuffles
    DRAWN_AHEAD = auto()  # batches of a PyDataset on TensorFlow
    LASTING_WORKERS = auto()  # random numbers that they draw
    ITERATOR = auto()  # the position of `name`
    WORKERS = auto()  # random numbers that they draw


@dataclass(frozen=True)
class NotExact:
    """A limit, and the iterator that it is about."""

    limit: DataLimit
    name: str | None = None
