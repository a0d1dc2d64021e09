"""Which elements of an array were changed by a fault, and which by a program on purpose.

A program writes whole arrays, or single numbers as a learning rate. A fault of the memory, or a
write to the wrong place, changes a few elements of an array: one bit of them, or to a size that no
step would give them.
"""

from __future__ import annotations

import numpy as np

from stayfinite.frameworks.state_log import OutsideChange

# An element that has become larger by this factor, from at least this size.
_FACTOR, _SMALLEST = 1e3, 0.1
# At most this part of an array, or one element.
_PART = 0.01


def outside_change(
    made: np.ndarray, found: np.ndarray, position: int, step: int | None
) -> OutsideChange | None:
    """The change of an array that the steps make as `made` and that was found as `found`.

    None where nothing was changed, or as much or as little as a program changes on purpose.
    """
    if made.shape != found.shape or made.ndim == 0:
        return None
    before, now = _wide(made), _wide(found)
    if before is None or now is None:
        return None
    changed = is_changed(before, now)
    num_changed = int(changed.sum())
    if not 0 < num_changed <= max(1, int(_PART * made.size)):
        return None
    if not _by_fault(made[changed], found[changed], before[changed], now[changed]).all():
        return None
    with np.errstate(invalid="ignore"):
        sizes = np.where(np.isfinite(now), np.abs(now), np.inf)
    at = np.unravel_index(int(np.argmax(np.where(changed, sizes, -1.0))), made.shape)
    return OutsideChange(position, num_changed, made.size, float(before[at]), float(now[at]), step)


def is_changed(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Which elements differ; a NaN is not another NaN's change."""
    changed: np.ndarray = (before != now) & ~(np.isnan(before) & np.isnan(now))
    return changed


def _by_fault(
    made: np.ndarray, found: np.ndarray, before: np.ndarray, now: np.ndarray
) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        has_grown = np.abs(now) > _FACTOR * np.maximum(np.abs(before), _SMALLEST)
    by_fault: np.ndarray = ~np.isfinite(now) | has_grown
    if made.dtype == found.dtype == np.float32:
        bits = made.view(np.uint32) ^ found.view(np.uint32)
        by_fault |= (bits != 0) & ((bits & (bits - np.uint32(1))) == 0)
    return by_fault


def _wide(array: np.ndarray) -> np.ndarray | None:
    """The numbers of a floating-point array; None of another one."""
    # bfloat16 is no float to NumPy.
    if array.dtype.kind not in "fV" or array.dtype.names is not None:
        return None
    return array.astype(np.float64)
