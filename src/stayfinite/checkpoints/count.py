"""How many values of each tensor are not finite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stayfinite.checkpoints.tensors import read

# Values looked at in one go, so that a large tensor needs no second copy of itself.
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Count:
    """One tensor with its numbers of values: all of them, NaN, +inf, -inf."""

    name: str
    num_values: int
    num_nan: int
    num_inf: int
    num_negative_inf: int

    @property
    def is_finite(self) -> bool:
        """Whether every value is a finite number."""
        return not (self.num_nan or self.num_inf or self.num_negative_inf)


def count_file(path: Path) -> list[Count]:
    """Count every floating-point tensor of a checkpoint, in the order of the file.

    Raises:
        UsageError: the file cannot be read.
    """
    return [count(name, value) for name, value in read(path)]


def count(name: str, value: np.ndarray) -> Count:
    """Count one tensor. A complex value is NaN if one of its parts is, else infinite if one is."""
    flat = value.reshape(-1)
    totals = np.zeros(3, dtype=np.int64)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        finite = np.isfinite(block)
        if finite.all():
            continue
        bad = block[~finite]
        bad = bad[~np.isnan(bad)]
        num_negative = int(np.sum(bad.real < 0))
        totals += (block.size - finite.sum() - bad.size, bad.size - num_negative, num_negative)
    return Count(name, flat.size, *map(int, totals))
