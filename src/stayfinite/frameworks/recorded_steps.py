"""Batches of steps as the recorder keeps them, one by one or in a series."""

from __future__ import annotations

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class RecordedBatch:
    """The batch of one step, as the train step took it, and its place in the training.

    `step` counts over the whole script, from 0; `batch` within the epoch. `is_borrowed` says that
    other code may write to the data once the step is over.
    """

    step: int
    epoch: int | None
    batch: int | None
    data: object
    num_bytes: int
    is_borrowed: bool = False


@dataclasses.dataclass(frozen=True)
class RecordedSeries:
    """The batches of steps in a row; `step` and `batch` are those of the first one.

    Most of them are dropped again as they are, so `RecordedBatch` is made of the others only.
    """

    step: int
    epoch: int | None
    batch: int | None
    data: list[object]

    def __len__(self) -> int:
        return len(self.data)

    def batches(self) -> list[RecordedBatch]:
        """The steps, oldest first."""
        return [
            RecordedBatch(
                self.step + place,
                self.epoch,
                None if self.batch is None else self.batch + place,
                data,
                num_bytes_of(data),
            )
            for place, data in enumerate(self.data)
        ]


def is_frozen(array: np.ndarray) -> bool:
    """Whether nothing can write to an array: it is read-only, and so is what it is a view of."""
    held: object = array
    while isinstance(held, np.ndarray):
        if held.flags.writeable:
            return False
        held = held.base
    return not isinstance(held, memoryview) or held.readonly


def num_bytes_of(data: object) -> int:
    """The size of the arrays of a batch."""
    if isinstance(data, dict):
        data = list(data.values())
    # `list | tuple` would be made anew in each call, and this is called for each array of a step.
    if isinstance(data, (list, tuple)):
        return sum([num_bytes_of(item) for item in data])
    if data is None:
        return 0
    num_bytes = getattr(data, "nbytes", None)
    if num_bytes is None:
        # A tensor of TensorFlow has none.
        shape, size = getattr(data, "shape", ()), getattr(getattr(data, "dtype", None), "size", 0)
        num_bytes = math.prod(shape) * size
    return int(num_bytes)
