"""Where bad values of a batch may come from, by their kind and place."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.facts.inputs import (
    ValuePattern,
)
from stayfinite.numerics.dtypes import widened

# Magnitudes of bytes read as the wrong type: text, pixels, the other byte order.
_WILD = 1e20
_FEW = 0.25
# Where integers wrap around.
_LIMITS = (2.0**31, 2.0**32, 2.0**63, 2.0**64)


def pattern_of_values(array: np.ndarray, bad: np.ndarray) -> ValuePattern:
    """What gives such values, by their kind and place.

    Args:
        array: The array of the batch, samples first.
        bad: Mask of the elements that are non-finite or absurdly large.
    """
    wide = widened(array)
    values = wide[bad]
    finite = np.abs(wide[np.isfinite(wide) & (wide != 0)])
    if finite.size > 3 and finite.max() > _WILD and finite.min() < 1.0 / _WILD:
        return ValuePattern.UNFILLED_OR_BYTE_ORDER
    if np.isnan(values).any():
        return _pattern_of_nan(np.isnan(wide))
    infinite = values[np.isinf(values)]
    if infinite.size:
        return ValuePattern.LOG_OF_0 if (infinite < 0).all() else ValuePattern.DIVISION_BY_0
    if any(np.any(np.abs(np.abs(values) / limit - 1.0) < 1e-3) for limit in _LIMITS):
        return ValuePattern.WRAPPED_INTEGER
    return ValuePattern.UNFILLED_OR_WRAPPED


def pattern_of_indices(array: np.ndarray, last: int) -> ValuePattern | None:
    """The same for integers of which some are no index from 0 to `last`; None if nothing fits."""
    if not array.size or array.dtype.kind not in "iu":
        return None
    lowest, highest = int(array.min()), int(array.max())
    if lowest == np.iinfo(array.dtype).min:
        return ValuePattern.NAN_AS_INTEGER
    if lowest >= 1 and highest == last + 1:
        return ValuePattern.COUNTS_FROM_1
    if lowest < 0 and highest <= last:
        return ValuePattern.NEGATIVE_FOR_IGNORE
    return None


def _pattern_of_nan(nan: np.ndarray) -> ValuePattern:
    by_sample = nan.reshape(len(nan), -1) if nan.ndim else nan.reshape(1, 1)
    samples = np.flatnonzero(by_sample.any(axis=1))
    if by_sample.shape[1] > 1 and by_sample[samples].all():
        if 1 < len(samples) < len(nan) and samples[0] == len(nan) - len(samples):
            return ValuePattern.LAST_SAMPLES
        return ValuePattern.WHOLE_SAMPLES
    if by_sample.shape[1] > 1 and nan.ndim == 2 and by_sample.all(axis=0).any():
        return ValuePattern.WHOLE_FEATURE
    return (
        ValuePattern.MISSING_VALUE
        if float(by_sample.mean()) <= _FEW
        else ValuePattern.UNDEFINED_RESULT
    )
