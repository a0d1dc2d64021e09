"""What bad values suggest about where they come from."""

from __future__ import annotations

import numpy as np
import pytest

from stayfinite.diagnose.facts.inputs import ValuePattern
from stayfinite.diagnose.value_patterns import pattern_of_indices, pattern_of_values

NAN, INF = float("nan"), float("inf")


CASES = {
    "a missing value": ((3, 1), NAN, ValuePattern.MISSING_VALUE),
    "whole sample": ((3, slice(None)), NAN, ValuePattern.WHOLE_SAMPLES),
    "whole feature": ((slice(None), 2), NAN, ValuePattern.WHOLE_FEATURE),
    "the last samples": ((slice(6, 8), slice(None)), NAN, ValuePattern.LAST_SAMPLES),
    "log of 0": ((3, 1), -INF, ValuePattern.LOG_OF_0),
    "division by 0": ((3, 1), INF, ValuePattern.DIVISION_BY_0),
    "wrapped around": ((3, 1), 2.0**64 - 40.0, ValuePattern.WRAPPED_INTEGER),
}


@pytest.mark.parametrize("name", CASES)
def test_pattern_is_told(name):
    where, value, pattern = CASES[name]
    array = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
    array[where] = value
    bad = ~np.isfinite(array) | (np.abs(array) > 1e15)
    assert pattern_of_values(array, bad) is pattern


def test_numbers_of_any_magnitude_were_something_else():
    array = np.array([[1e30, 1e-30, 3.0], [1e-25, -2e33, NAN], [1.0, 2.0, 3.0]])
    pattern = pattern_of_values(array, ~np.isfinite(array))
    assert pattern is ValuePattern.UNFILLED_OR_BYTE_ORDER


def test_labels():
    assert pattern_of_indices(np.array([1, 4, 2]), 3) is ValuePattern.COUNTS_FROM_1
    assert pattern_of_indices(np.array([1, -(2**63)]), 3) is ValuePattern.NAN_AS_INTEGER
    assert pattern_of_indices(np.array([0, -100, 3]), 3) is ValuePattern.NEGATIVE_FOR_IGNORE
    assert pattern_of_indices(np.array([0, 9]), 3) is None
