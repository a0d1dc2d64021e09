import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import expressions, texts

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

# The first candidate; the second is always the guard.
STABLE = {
    "K.log(K.softmax(x))": "K.log_softmax(x)",
    "K.log(K.softmax(x - y, axis=1))": "K.log_softmax(x - y, axis=1)",
    "K.log(K.softmax(x) + 1e-10)": "K.log_softmax(x)",
    "K.log(K.clip(K.softmax(x), 1e-10, 1.0))": "K.log_softmax(x)",
    "K.log(K.exp(x) / K.sum(K.exp(x), axis=-1, keepdims=True))": "K.log_softmax(x, axis=-1)",
    "K.log(K.sigmoid(x))": "K.log_sigmoid(x)",
    "K.log(1 - K.sigmoid(x))": "K.log_sigmoid(-x)",
    "K.log(1.0 - K.sigmoid(-x) + 1e-8)": "K.log_sigmoid(x)",
    "K.log(1 - K.sigmoid(x - y))": "K.log_sigmoid(-(x - y))",
    "K.log(1 / (1 + K.exp(-x)))": "K.log_sigmoid(x)",
    "K.log(K.sum(K.exp(x), axis=1, keepdims=True))": "K.logsumexp(x, axis=1, keepdims=True)",
    "K.log(K.sum(K.exp(-x)) + 1e-8)": "K.logsumexp(-x)",
}


@pytest.mark.parametrize(("before", "after"), GUARDS.items())
def test_guards(before, after):
    assert expressions(before, MECHANISM)[0] == after


def test_a_lower_guard_for_data_that_are_small():
    guards = ["K.log(K.maximum(x, 1e-7))", "K.log(K.maximum(x, 1e-20))"]
    assert expressions("K.log(x)", MECHANISM) == guards


@pytest.mark.parametrize(("before", "after"), STABLE.items())
def test_stable_forms_come_first(before, after):
    found = expressions(before, MECHANISM)
    assert found[0] == after
    assert any("1e-7" in guard for guard in found[1:])


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
        ("torch.log(torch.softmax(x, dim=1))", "torch.log_softmax(x, dim=1)"),
        ("x.softmax(dim=-1).log()", "torch.log_softmax(x, dim=-1)"),
        ("torch.log(torch.sigmoid(x))", "torch.nn.functional.logsigmoid(x)"),
        ("x.log()", "x.clamp(min=1e-7).log()"),
        ("x.exp().sum(dim=1, keepdim=True).log()", "torch.logsumexp(x, dim=1, keepdim=True)"),
        ("x.exp().sum().log()", "x.exp().sum().clamp(min=1e-7).log()"),
    ],
)
def test_torch(before, after):
    assert expressions(before, MECHANISM, header="import torch")[0] == after


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tf.math.log(tf.nn.softmax(x, axis=1))", "tf.nn.log_softmax(x, axis=1)"),
        ("tf.math.log(tf.sigmoid(x))", "tf.math.log_sigmoid(x)"),
        ("tf.math.log(tf.reduce_sum(tf.exp(x), 1))", "tf.reduce_logsumexp(x, axis=1)"),
    ],
)
def test_tensorflow(before, after):
    assert expressions(before, MECHANISM, header="import tensorflow as tf")[0] == after


BCE = """\
from keras import ops

class Loss:
    def call(self, y, z):
        p = ops.sigmoid(z)
        return -ops.mean(y * «ops.log(p)» + (1 - y) * ops.log(1 - p))
"""


def test_cross_entropy_by_hand_through_a_variable_that_is_then_not_needed():
    both, one, guards, guard, *lower = texts(BCE, MECHANISM)
    assert both.endswith(
        "    def call(self, y, z):\n"
        "        return -ops.mean(y * ops.log_sigmoid(z) + (1 - y) * ops.log_sigmoid(-z))\n"
    )
    assert "y * ops.log_sigmoid(z) + (1 - y) * ops.log(1 - p)" in one
    assert guards.count("1e-7") == 2
    assert guard.count("1e-7") == 1
    assert all("1e-20" in text for text in lower)


@pytest.mark.parametrize(
    "statement", ["z = z * 2", "for z in y: pass", "p = p * 2", "(z := 1)", "import z"]
)
def test_a_variable_that_has_changed_since_is_not_looked_through(statement):
    text = f"{BCE.split('        return')[0]}        {statement}\n        return «ops.log(p)»\n"
    assert all("log_sigmoid" not in found for found in texts(text, MECHANISM))
    before = text.replace(f"        {statement}\n", "")
    assert "log_sigmoid(z)" in texts(before, MECHANISM)[0]


def test_softplus_at_hand_is_better_than_log_sigmoid_to_import():
    text = (
        "from keras.ops import log, sigmoid, softplus\ndef f(x, y): return y * «log(sigmoid(x))»\n"
    )
    assert texts(text, MECHANISM)[0].endswith("return y * (-softplus(-x))\n")


def test_only_softplus_exists(monkeypatch):
    from keras import ops

    monkeypatch.delattr(ops, "log_sigmoid")
    assert expressions("y * «K.log(K.sigmoid(x))»", MECHANISM)[0] == "y * (-K.softplus(-x))"
    assert expressions("y - «K.log(1 - K.sigmoid(x))»", MECHANISM)[0] == "y - (-K.softplus(x))"
    assert expressions("«K.log(1 - K.sigmoid(x))»", MECHANISM)[0] == "-K.softplus(x)"
