"""Infinities that were written on purpose, and whether anything came of them."""

from __future__ import annotations

import numpy as np
import pytest

from stayfinite.diagnose.infinities import is_absorbed
from tests.diagnose.steps import StepByHand

MASK = [[0.0, -np.inf], [0.0, 0.0]]
WEIGHTS = [[1.0, 0.0], [0.5, 0.5]]


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_mask_that_a_derivative_reads_next_to_another_root_is_absorbed(bad):
    step = StepByHand()
    mask, x = step.leaf("input", MASK), step.leaf("input", [0.0, 1.0], "x")
    weights = step.op("softmax", (mask,), WEIGHTS)
    loss = step.op("log", (x, weights), [bad, 0.0])
    step.op("softmax_backward", (loss, mask), [[bad, bad], [0.0, 0.0]], phase="backward")
    assert is_absorbed(step.evidence(leaf=mask, loss=loss))


def test_an_infinity_in_the_loss_is_not_absorbed():
    step = StepByHand()
    mask = step.leaf("input", MASK)
    step.op("softmax", (mask,), WEIGHTS)
    loss = step.op("sum", (mask,), -np.inf)
    assert not is_absorbed(step.evidence(leaf=mask, loss=loss))


def test_an_infinity_that_makes_a_nan_is_not_absorbed():
    step = StepByHand()
    mask = step.leaf("input", MASK)
    step.op("softmax", (mask,), WEIGHTS)
    step.op("subtract", (mask, mask), [[0.0, np.nan], [0.0, 0.0]])
    assert not is_absorbed(step.evidence(leaf=mask))
