"""What bad values suggest about where they come from."""

from __future__ import annotations

import numpy as np
import pytest

from stayfinite.diagnose import patterns

NAN, INF = float("nan"), float("inf")


CASES = {
    "a missing value": ((3, 1), NAN, "missing value"),
    "whole sample": ((3, slice(None)), NAN, "constant sample"),
    "whole feature": ((slice(None), 2), NAN, "constant feature"),
    "the last samples": ((slice(6, 8), slice(None)), NAN, "buffer"),
    "log of 0": ((3, 1), -INF, "logarithm of 0"),
    "division by 0": ((3, 1), INF, "division by 0"),
    "wrapped around": ((3, 1), 2.0**64 - 40.0, "wrapped around"),
}


@pytest.mark.parametrize("name", CASES)
def test_pattern_is_told(name):
    where, value, said = CASES[name]
    array = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
    array[where] = value
    bad = ~np.isfinite(array) | (np.abs(array) > 1e15)
    assert said in patterns.suggested(array, bad)


def test_numbers_of_any_magnitude_were_something_else():
    array = np.array([[1e30, 1e-30, 3.0], [1e-25, -2e33, NAN], [1.0, 2.0, 3.0]])
    assert "never filled" in patterns.suggested(array, ~np.isfinite(array))


def test_labels():
    assert patterns.of_indices(np.array([1, 4, 2]), 3) == "they count from 1"
    assert "nan" in patterns.of_indices(np.array([1, -(2**63)]), 3)
    assert "ignore" in patterns.of_indices(np.array([0, -100, 3]), 3)
    assert patterns.of_indices(np.array([0, 9]), 3) is None
