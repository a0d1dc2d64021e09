import pytest

from tests.repair.helpers import texts

HEADER = """\
import math
import numpy as np
from keras import ops as K
NEVER = float("-inf")
ALWAYS = -np.inf
SOFT = -1e4
def f(x, mask):
"""

MASKS = {
    "K.where(mask, x, -np.inf)": "K.where(mask, x, -1e9)",
    "K.where(mask, x, -K.ones_like(x) * math.inf)": "K.where(mask, x, -K.ones_like(x) * 1e9)",
    'K.where(mask, x, -float("inf"))': "K.where(mask, x, -1e9)",
    'K.where(mask, x, float("-inf"))': "K.where(mask, x, -1e9)",
    "K.where(mask, x, float('-Infinity'))": "K.where(mask, x, -1e9)",
    "K.where(mask, x, NEVER)": "K.where(mask, x, -1e9)",
    "K.where(mask, x, ALWAYS)": "K.where(mask, x, -1e9)",
}


def bodies(mask):
    body = f"    x = {mask}\n    return K.exp(«x - K.max(x, axis=-1, keepdims=True)»)\n"
    return [text.removeprefix(HEADER) for text in texts(HEADER + body, "fully-masked-row")]


@pytest.mark.parametrize(("before", "after"), MASKS.items())
def test_the_infinity_of_the_mask_becomes_a_number(before, after):
    assert bodies(before)[0].splitlines()[0] == f"    x = {after}"


@pytest.mark.parametrize("mask", ["K.where(mask, x, SOFT)", "x + mask"])
def test_without_one_there_is_no_such_repair(mask):
    assert all("1e9" not in body for body in bodies(mask))
