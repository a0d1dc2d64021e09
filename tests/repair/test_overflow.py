import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import expressions, texts

MECHANISM = "overflow"

STABLE = {
    "K.log(1 + «K.exp(x)»)": "K.softplus(x)",
    "K.log(«K.exp(-x)» + 1.0)": "K.softplus(-x)",
    "K.log1p(«K.exp(x - y)»)": "K.softplus(x - y)",
    "a - K.log1p(«K.exp(x)») * b": "a - K.softplus(x) * b",
    "K.log(K.sum(«K.exp(x)», axis=-1))": "K.logsumexp(x, axis=-1)",
    "K.log(«K.sum(K.exp(x))»)": "K.logsumexp(x)",
    "«K.exp(x)» / K.sum(K.exp(x), axis=1, keepdims=True)": "K.softmax(x, axis=1)",
    "K.exp(x) / K.sum(«K.exp(x)», axis=1, keepdims=True)": "K.softmax(x, axis=1)",
    "K.exp(x) / (K.sum(«K.exp(x)», axis=1, keepdims=True) + 1e-8)": "K.softmax(x, axis=1)",
    "«K.exp(x)» / K.sum(K.exp(x), 0)": "K.softmax(x, axis=0)",
    "«K.exp(x)» / K.sum(K.exp(x))": "K.softmax(x, axis=None)",
    "K.log(«K.exp(x)» / K.sum(K.exp(x), -1, True))": "K.log_softmax(x, axis=-1)",
    "1 / (1 + «K.exp(-x)»)": "K.sigmoid(x)",
    "1.0 / («K.exp(x)» + 1.0)": "K.sigmoid(-x)",
    "«K.exp(x)» / (1 + K.exp(x))": "K.sigmoid(x)",
    "K.divide(1, 1 + «K.exp(-x)»)": "K.sigmoid(x)",
    "(«K.exp(x)» - K.exp(-x)) / (K.exp(x) + K.exp(-x))": "K.tanh(x)",
}

CLIPS = {
    "K.exp(x)": "K.exp(K.minimum(x, 80.0))",
    "K.expm1(x)": "K.expm1(K.minimum(x, 80.0))",
    "K.cosh(x)": "K.cosh(K.clip(x, -80.0, 80.0))",
    "K.square(x)": "K.square(K.clip(x, -1e18, 1e18))",
    "x ** 4": "K.clip(x, -1e9, 1e9) ** 4",
    "K.power(x, 20)": "K.power(K.clip(x, -63.0, 63.0), 20)",
    # Near a formula, but not it.
    "K.log(2 + «K.exp(x)»)": "K.log(2 + K.exp(K.minimum(x, 80.0)))",
    "K.log(1 + K.exp(«K.exp(x)»))": "K.log(1 + K.exp(K.exp(K.minimum(x, 80.0))))",
    "«K.exp(x)» / K.sum(K.exp(y), axis=1, keepdims=True)":
        "K.exp(K.minimum(x, 80.0)) / K.sum(K.exp(y), axis=1, keepdims=True)",
    "«K.exp(x)» / K.sum(K.exp(x), axis=1)":
        "K.exp(K.minimum(x, 80.0)) / K.sum(K.exp(K.minimum(x, 80.0)), axis=1)",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), STABLE.items())
def test_stable_forms_come_first(before, after):
    found = expressions(before, MECHANISM)
    assert found[0] == after


@pytest.mark.parametrize(("before", "after"), CLIPS.items())
def test_the_clip_is_the_last_resort(before, after):
    assert expressions(before, MECHANISM)[0] == after


@pytest.mark.parametrize(
    ("dtype", "before", "after"),
    [
        ("float16", "K.exp(x)", "K.exp(K.minimum(x, 10.0))"),
        ("float64", "K.exp(x)", "K.exp(K.minimum(x, 700.0))"),
        ("float16", "K.square(x)", "K.square(K.clip(x, -177.0, 177.0))"),
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


SOFTMAX = """\
from keras import ops as K

def attention(x):
    x = K.cast(x, "float32")
    e = «K.exp(x)»  # scores
    return e / K.sum(e, axis=-1, keepdims=True)
"""


def test_softmax_through_a_variable():
    stable, clip, lower = texts(SOFTMAX, MECHANISM)
    assert stable == SOFTMAX.split("    e =")[0] + "    return K.softmax(x, axis=-1)\n"
    assert "e = K.exp(K.minimum(x, 80.0))  # scores\n" in clip
    assert "e = K.exp(K.minimum(x, 20.0))  # scores\n" in lower


def test_a_variable_with_other_readers_stays():
    text = SOFTMAX.replace("keepdims=True)", "keepdims=True), e")
    stable = texts(text, MECHANISM)[0]
    assert "    e = K.exp(x)  # scores\n    return K.softmax(x, axis=-1), e\n" in stable


def test_a_variable_beside_another_statement_stays():
    text = SOFTMAX.replace("    e = «", "    s = 1; e = «")
    assert "s = 1; e = K.exp(x)" in texts(text, MECHANISM)[0]


def test_softmax_in_a_nested_function_and_tabs():
    text = (
        "import keras\n"
        "def outer(scale):\n"
        "\tdef inner(x):\n"
        "\t\te = «keras.ops.exp(x * scale)»\n"
        "\t\tt = keras.ops.sum(e, -1, keepdims=True)\n"
        "\t\treturn e / t\n"
        "\treturn inner\n"
    )
    assert texts(text, MECHANISM)[0] == (
        "import keras\n"
        "def outer(scale):\n"
        "\tdef inner(x):\n"
        "\t\treturn keras.ops.softmax(x * scale, axis=-1)\n"
        "\treturn inner\n"
    )


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("«x.exp()» / x.exp().sum(dim=1, keepdim=True)", "torch.softmax(x, dim=1)"),
        ("«x.exp()» / x.exp().sum()", "x.clamp(max=80.0).exp() / x.clamp(max=80.0).exp().sum()"),
        ("torch.log1p(«x.exp()»)", "torch.nn.functional.softplus(x)"),
        ("«x.square()»", "x.clamp(-1e18, 1e18).square()"),
        ("«torch.exp(x)»", "torch.exp(torch.clamp(x, max=80.0))"),
    ],
)
def test_torch(before, after):
    assert expressions(before, MECHANISM, header="import torch")[0] == after


LOGARITHMS = {
    "K.log(«x * y»)": "K.log(x) + K.log(y)",
    "K.log(2 * «x * y»)": "math.log(2) + K.log(x) + K.log(y)",
    "K.log10(4 * np.pi * «x ** 2»)": "math.log10(4 * np.pi) + 2 * K.log10(x)",
    "a - K.log(«K.square(x)» * y)": "a - (2 * K.log(x) + K.log(y))",
    "K.log2(«x ** 3» / K.sqrt(y))": "3 * K.log2(x) - 0.5 * K.log2(y)",
    "K.log(K.sum(a) * «x * y»)": "K.log(K.sum(a)) + K.log(x) + K.log(y)",
}


@pytest.mark.parametrize(("before", "after"), LOGARITHMS.items())
def test_the_logarithm_of_a_product_is_added_up(before, after):
    header = "import math\nimport numpy as np\nfrom keras import ops as K"
    assert expressions(before, MECHANISM, header=header)[0] == after


def test_the_product_may_be_in_a_variable():
    text = "import math\nfrom keras import ops as K\ndef f(x):\n    {}    return {}\n"
    before = text.format("area = «3 * x ** 2»\n", "K.log(area)")
    after = text.format("", "math.log(3) + 2 * K.log(x)").replace("    " * 2, "    ")
    assert texts(before, MECHANISM)[0] == after


@pytest.mark.parametrize("expression", ["K.log(x + «x * y»)", "K.log(K.sum(«x * y»))"])
def test_the_logarithm_of_a_sum_is_none_of_a_product(expression):
    assert all("K.log(x)" not in text for text in expressions(expression, MECHANISM))
