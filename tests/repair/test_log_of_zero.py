import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import expressions

MECHANISM = "log-of-zero"

GUARDS = {
    "K.log(x)": "K.log(K.maximum(x, 1e-7))",
    "K.log10(x)": "K.log10(K.maximum(x, 1e-7))",
    "K.log1p(-x)": "K.log1p(K.maximum(-x, -1 + 1e-6))",
    "K.log(x + 1e-10)": "K.log(K.maximum(x, 1e-7))",
    "K.log(1e-10 + x)": "K.log(K.maximum(x, 1e-7))",
    "K.log(x + 1e-3)": "K.log(K.maximum(x + 1e-3, 1e-7))",
    "K.log(K.maximum(x, 1e-30))": "K.log(K.maximum(x, 1e-7))",
    "K.log(K.clip(x, 1e-10, 1.0))": "K.log(K.clip(x, 1e-7, 1.0))",
    "K.log(K.clip(x, 0, 1))": "K.log(K.clip(x, 1e-7, 1))",
    "K.log(1 - x)": "K.log(K.maximum(1 - x, 1e-7))",
    "K.log(K.sum(x))": "K.log(K.maximum(K.sum(x), 1e-7))",
}


@pytest.mark.parametrize(("before", "after"), GUARDS.items())
def test_guards(before, after):
    assert expressions(before, MECHANISM)[0] == after


def test_a_lower_guard_for_data_that_are_small():
    guards = ["K.log(K.maximum(x, 1e-7))", "K.log(K.maximum(x, 1e-20))"]
    assert expressions("K.log(x)", MECHANISM) == guards


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("K.log(x + 1e-7)", "K.log(K.maximum(x, 1e-4))"),
        ("K.log(x + K.epsilon())", "K.log(K.maximum(x + K.epsilon(), 1e-4))"),
        ("K.log1p(x)", "K.log1p(K.maximum(x, -1 + 1e-3))"),
    ],
)
def test_an_epsilon_that_vanishes_in_half_precision_is_replaced(before, after):
    assert expressions(before, MECHANISM, Facts("float16")) == [after]


def test_other_functions_are_not_its_business():
    assert expressions("K.sqrt(x)", MECHANISM) == []


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("torch.log(x)", "torch.log(torch.clamp(x, min=1e-7))"),
        ("x.log()", "x.clamp(min=1e-7).log()"),
        ("x.exp().sum().log()", "x.exp().sum().clamp(min=1e-7).log()"),
    ],
)
def test_torch(before, after):
    assert expressions(before, MECHANISM, header="import torch")[0] == after
