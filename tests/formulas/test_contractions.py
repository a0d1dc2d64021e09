"""Small products of matrices are sums of products, larger ones are leaves."""

import numpy as np
import pytest

from stayfinite.repair.extraction.contractions import MOST_PRODUCTS
from tests.formulas.arithmetic import value_of
from tests.formulas.helpers import extracted

torch = pytest.importorskip("torch")

LEVELS = torch.tensor([[0.5, 0.0, 2.0], [1.0, 3.0, 0.25]])


def product(x):
    return torch.log(torch.matmul(x, LEVELS))


def operator(x):
    return torch.log(x @ LEVELS)


def of_a_list(x):
    return torch.log(torch.mm(x, torch.tensor([[1.0, 2.0], [0.5, 4.0]])))


def batched(x):
    return torch.bmm(x[:, None, :], x[:, :, None])


def by_equation(x):
    return torch.einsum("bi,ij->jb", x, LEVELS)


def along_a_row(x):
    return torch.log(torch.einsum("bi,bi->b", x, x) + torch.einsum("bi->b", x))


def with_ellipsis(x):
    return torch.log(torch.einsum("...i,ij->...j", x, LEVELS))


SMALL = np.random.default_rng(1).uniform(0.3, 2.0, (4, 2)).astype("float32")


@pytest.mark.parametrize(
    "function", [product, operator, of_a_list, batched, by_equation, along_a_row]
)
def test_the_formula_has_the_value_of_the_library(function):
    extraction = extracted(function, {"x": SMALL}, contracts=True)
    arrays = extraction.arrays()
    assert arrays.keys() == set(extraction.leaves)
    assert not any(
        "(" in str(leaf.attribute("name")) for leaf in arrays if function is not of_a_list
    )
    want = function(torch.asarray(SMALL)).numpy()
    np.testing.assert_allclose(value_of(extraction.root, arrays), want, rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "x", "contracts"),
    [
        (product, SMALL, False),
        (product, np.ones((MOST_PRODUCTS, 2), "float32"), True),
        (with_ellipsis, SMALL, True),
    ],
)
def test_any_other_contraction_is_a_leaf(function, x, contracts):
    extraction = extracted(function, {"x": x}, contracts=contracts)
    [leaf] = extraction.leaves
    assert str(leaf.attribute("name")).startswith("torch.")
    assert extraction.has_contraction is (not contracts)
