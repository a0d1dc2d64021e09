"""Sums of terms, and the named functions that such sums are."""

import pytest

from stayfinite.repair.engine.linear import assembled, linear
from stayfinite.repair.formula import LeafRole, leaf, node

A, INDICES = leaf("a", LeafRole.VARIABLE), leaf("i", LeafRole.DATA)
WHOLE = node("log_softmax", A, axis=1)


def difference(moved):
    picked = node("take_along_axis", moved, INDICES)
    total = node("logsumexp", A, axis=(1,), keepdims=False)
    return node("subtract", picked, total)


@pytest.mark.parametrize("op", ["flip", "squeeze", "transpose", "reshape", "broadcast_to"])
def test_elements_are_picked_of_what_was_moved(op):
    found = assembled(linear(difference(node(op, A))))
    assert found is node("take_along_axis", node(op, WHOLE), INDICES)


def test_nothing_is_picked_of_what_has_no_gradient():
    written = difference(node("stop_gradient", A))
    assert assembled(linear(written)) is written
