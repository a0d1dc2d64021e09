"""What the bad values of a batch look like: where such values come from, as a suggestion."""

from __future__ import annotations

import numpy as np

# The exponents of numbers that were once something else: text, pixels, the other byte order.
_WILD = 1e20
_FEW = 0.25
# Where integers wrap around.
_LIMITS = (2.0**31, 2.0**32, 2.0**63, 2.0**64)


def suggested(array: np.ndarray, bad: np.ndarray) -> str | None:
    """A clause on what gives such values, from their kind and place; None where nothing fits.

    Args:
        array: The array of the batch, samples first.
        bad: Its elements that are non-finite or past all measure.
    """
    wide = array.astype(np.float64)
    values = wide[bad]
    finite = wide[np.isfinite(wide)]
    if _is_wild(finite):
        return "memory that was never filled, or bytes in the wrong order, look like this"
    if np.isnan(values).any():
        return _of_nan(np.isnan(wide))
    if np.isinf(values).any():
        return _of_inf(values)
    if any(np.any(np.abs(np.abs(values) / limit - 1.0) < 1e-3) for limit in _LIMITS):
        return "an integer that wrapped around looks like this"
    return "memory that was never filled, or an integer that wrapped around, looks like this"


def of_indices(array: np.ndarray, last: int) -> str | None:
    """The same for integers of which some are no index from 0 to `last`."""
    if not array.size or array.dtype.kind not in "iu":
        return None
    lowest, highest = int(array.min()), int(array.max())
    if lowest == np.iinfo(array.dtype).min:
        return "a nan that was cast to an integer looks like this"
    if lowest >= 1 and highest == last + 1:
        return "they count from 1"
    if lowest < 0 and highest <= last:
        return "a negative number that means `ignore` elsewhere has no meaning here"
    return None


def _of_nan(nan: np.ndarray) -> str:
    by_sample = nan.reshape(len(nan), -1) if nan.ndim else nan.reshape(1, 1)
    samples = np.flatnonzero(by_sample.any(axis=1))
    if by_sample.shape[1] > 1 and by_sample[samples].all():
        if len(samples) > 1 and samples[0] == len(nan) - len(samples):
            return "whole samples, the last ones: a buffer that was not filled looks like this"
        return "whole samples: 0 / 0 in the scaling of a constant sample looks like this"
    if by_sample.shape[1] > 1 and nan.ndim == 2 and by_sample.all(axis=0).any():
        return "a whole feature: 0 / 0 in the scaling of a constant feature looks like this"
    if float(by_sample.mean()) <= _FEW:
        return "a missing value that was read as nan looks like this"
    return "an undefined result of the preprocessing, as 0 / 0, looks like this"


def _of_inf(values: np.ndarray) -> str:
    infinite = values[np.isinf(values)]
    if (infinite < 0).all():
        return "the logarithm of 0 looks like this"
    return "a division by 0, log(0), or a number past the range of float16, looks like this"


def _is_wild(finite: np.ndarray) -> bool:
    sizes = np.abs(finite[finite != 0])
    return bool(sizes.size > 3 and sizes.max() > _WILD and sizes.min() < 1.0 / _WILD)
