from tests.repair.helpers import texts

MECHANISM = "half-overflow"
ATTENTION = """
from keras import ops

def attend(q, k, v, x):
    score = «ops.einsum("bqd,bkd->bqk", q(x), k(x))»
    return ops.einsum("bqk,bkd->bqd", ops.softmax(score, axis=-1), v(x))
"""


def test_operands_of_einsum_are_cast_and_not_its_text():
    first, second, *_ = texts(ATTENTION, MECHANISM)
    assert 'ops.einsum("bqd,bkd->bqk", ops.cast(q(x), "float32"), k(x))' in first
    both = 'ops.einsum("bqd,bkd->bqk", ops.cast(q(x), "float32"), ops.cast(k(x), "float32"))'
    assert both in second


def test_function_in_float32_casts_every_tensor_that_goes_into_it():
    whole = texts(ATTENTION, MECHANISM)[-1]
    for tensor in ("q(x)", "k(x)", "v(x)"):
        assert f'ops.cast({tensor}, "float32")' in whole


SCAN = """
from keras import ops

def power(signal):
    def follow(power, sample):
        return power + sample * sample, None

    return «ops.scan(follow, start(signal), signal)»
"""


def test_the_body_of_a_loop_is_no_operand():
    first = texts(SCAN, MECHANISM)[0]
    assert 'ops.scan(follow, ops.cast(start(signal), "float32"), signal)' in first


ENERGY = """
import math
import torch

def energy(h, width):
    return torch.sqrt(«(h * h).sum(-1)» / math.sqrt(width))
"""


def test_what_is_computed_inside_an_operand_is_cast_before_it_is_computed():
    first = texts(ENERGY, MECHANISM)[0]
    assert "(h.float() * h.float()).sum(-1)" in first


def test_a_number_of_python_is_no_tensor():
    assert all("math.sqrt(width).float()" not in text for text in texts(ENERGY, MECHANISM))
