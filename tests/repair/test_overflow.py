import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import expressions

MECHANISM = "overflow"

CLIPS = {
    "K.exp(x)": "K.exp(K.minimum(x, 80.0))",
    "K.expm1(x)": "K.expm1(K.minimum(x, 80.0))",
    "K.cosh(x)": "K.cosh(K.clip(x, -81.0, 81.0))",
    "K.square(x)": "K.square(K.clip(x, -1e18, 1e18))",
    "x ** 4": "K.clip(x, -1e9, 1e9) ** 4",
    "K.power(x, 20)": "K.power(K.clip(x, -63.0, 63.0), 20)",
    "K.log(2 + «K.exp(x)»)": "K.log(2 + K.exp(K.minimum(x, 80.0)))",
    "K.log(1 + K.exp(«K.exp(x)»))": "K.log(1 + K.exp(K.exp(K.minimum(x, 80.0))))",
    "«K.exp(x)» / K.sum(K.exp(y), axis=1, keepdims=True)":
        "K.exp(K.minimum(x, 80.0)) / K.sum(K.exp(y), axis=1, keepdims=True)",
    "«K.exp(x)» / K.sum(K.exp(x), axis=1)":
        "K.exp(K.minimum(x, 80.0)) / K.sum(K.exp(K.minimum(x, 80.0)), axis=1)",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CLIPS.items())
def test_the_clip_is_the_last_resort(before, after):
    assert expressions(before, MECHANISM)[0] == after


@pytest.mark.parametrize(
    ("dtype", "before", "after"),
    [
        ("float16", "K.exp(x)", "K.exp(K.minimum(x, 10.0))"),
        ("float64", "K.exp(x)", "K.exp(K.minimum(x, 645.0))"),
        ("float16", "K.square(x)", "K.square(K.clip(x, -178.0, 178.0))"),
        ("float16", "x ** 4", "K.clip(x, -13.0, 13.0) ** 4"),
    ],
)
def test_the_bound_suits_the_dtype(dtype, before, after):
    assert expressions(before, MECHANISM, Facts(dtype))[0] == after


def test_a_lower_bound_for_what_is_squared_later():
    assert expressions("K.exp(x)", MECHANISM) == [
        "K.exp(K.minimum(x, 80.0))",
        "K.exp(K.minimum(x, 20.0))",
    ]
    assert expressions("K.exp(x)", MECHANISM, Facts("float16")) == ["K.exp(K.minimum(x, 10.0))"]


@pytest.mark.parametrize("expression", ["x ** y", "x ** 0.5", "a * b", "K.matmul(a, b)"])
def test_nothing_to_offer(expression):
    assert expressions(expression, MECHANISM) == []


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("«x.exp()» / x.exp().sum()", "x.clamp(max=80.0).exp() / x.clamp(max=80.0).exp().sum()"),
        ("«x.square()»", "x.clamp(-1e18, 1e18).square()"),
        ("«torch.exp(x)»", "torch.exp(torch.clamp(x, max=80.0))"),
    ],
)
def test_torch(before, after):
    assert expressions(before, MECHANISM, header="import torch")[0] == after
