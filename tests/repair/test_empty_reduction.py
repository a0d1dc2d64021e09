import math

import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import expressions, texts

MECHANISM = "empty-reduction"

MEANS = {
    "K.mean(x)": "K.sum(x) / K.maximum(K.sum(K.ones_like(x)), 1)",
    "K.mean(x, axis=1)": "K.sum(x, axis=1) / K.maximum(K.sum(K.ones_like(x), axis=1), 1)",
    "K.mean(x, -1, keepdims=True)":
        "K.sum(x, axis=-1, keepdims=True)"
        " / K.maximum(K.sum(K.ones_like(x), axis=-1, keepdims=True), 1)",
    "2 * K.mean(x, axis=0)":
        "2 * (K.sum(x, axis=0) / K.maximum(K.sum(K.ones_like(x), axis=0), 1))",
    "K.sum(x * mask) / K.sum(mask)": "K.sum(x * mask) / K.maximum(K.sum(mask), 1.0)",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), MEANS.items())
def test_the_sum_is_divided_by_at_least_1(before, after):
    assert expressions(before, MECHANISM)[0] == after


def test_a_sum_of_weights_may_be_below_1():
    written = expressions("K.sum(x * mask) / K.sum(mask)", MECHANISM, Facts(is_whole=False))
    assert written and not any("1.0)" in each for each in written)


def test_the_mask_of_a_mean_is_that_of_its_count():
    header = "import jax.numpy as jnp"
    assert expressions("jnp.mean(x - y, axis=-1, where=mask)", MECHANISM, header=header)[0] == (
        "jnp.sum(x - y, axis=-1, where=mask)"
        " / jnp.maximum(jnp.sum(jnp.ones_like(x - y), axis=-1, where=mask), 1)"
    )


def test_on_pytorch(torch):
    header = "import torch"
    assert expressions("torch.mean(x, dim=1)", MECHANISM, header=header)[0] == (
        "torch.sum(x, dim=1) / torch.clamp(torch.sum(torch.ones_like(x), dim=1), min=1)"
    )
    assert expressions("x.mean(dim=1)", MECHANISM, header=header)[0] == (
        "torch.sum(x, dim=1) / torch.clamp(torch.sum(torch.ones_like(x), dim=1), min=1)"
    )
    assert expressions("x.mean()", MECHANISM, header=header)[0] == "x.sum() / max(x.numel(), 1)"


def test_a_mean_of_which_not_all_is_understood_is_left_alone():
    assert expressions("K.mean(x, dtype='float64')", MECHANISM) == []


def test_deviation_of_one_element_on_pytorch(torch):
    header = "import torch"
    for before, after in {
        "x.std()": "x.std(correction=0)",
        "torch.var(x, dim=0)": "torch.var(x, dim=0, correction=0)",
    }.items():
        assert expressions(before, MECHANISM, header=header)[0] == after
    assert expressions("x.std(unbiased=False)", MECHANISM, header=header) == []


@pytest.mark.parametrize(
    ("before", "after"),
    {
        "p = «x.amax(1)»\n": 'p = x.amax(1)\np = torch.where(p == float("-inf"), 0.0, p)\n',
        "p = «x.max(dim=1)».values\n":
            'p = x.max(dim=1).values\np = torch.where(p == float("-inf"), 0.0, p)\n',
        "y = 2 * «x.scatter_reduce(0, i, z, 'amax')»\n":
            "y = 2 * torch.where((largest := x.scatter_reduce(0, i, z, 'amax'))"
            ' == float("-inf"), 0.0, largest)\n',
    }.items(),
)  # fmt: skip
def test_0_where_a_maximum_is_of_no_elements(torch, before, after):
    header = "import torch\n"
    found = texts(header + before, MECHANISM, Facts(infinity=-math.inf))
    assert found[0].removeprefix(header) == after


def test_what_a_reduction_writes_in_place_has_no_result_to_replace(torch):
    text = "import torch\n«x.scatter_reduce_(0, i, z, 'amax')»\n"
    assert texts(text, MECHANISM, Facts(infinity=-math.inf)) == []
