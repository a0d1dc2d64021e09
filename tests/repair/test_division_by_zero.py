import pytest

from stayfinite.repair import Facts
from tests.repair.helpers import edits, expressions, texts

MECHANISM = "division-by-zero"
POSITIVE = Facts("float32", 0.0, 5.0)

NO_SIGN = {
    "a / b": "a / K.maximum(b, 1e-7)",
    "a / (b + c)": "a / K.maximum(b + c, 1e-7)",
    "a / (b + 1e-10)": "a / K.maximum(b, 1e-7)",
    "K.divide(a, b)": "K.divide(a, K.maximum(b, 1e-7))",
    "K.true_divide(x1=a, x2=b)": "K.true_divide(x1=a, x2=K.maximum(b, 1e-7))",
    "K.sum(x * mask) / K.sum(mask)": "K.sum(x * mask) / K.maximum(K.sum(mask), 1e-7)",
    "1 / x": "1 / K.maximum(x, 1e-7)",
    "K.reciprocal(x)": "K.reciprocal(K.maximum(x, 1e-7))",
    "K.rsqrt(x)": "K.rsqrt(K.maximum(x, 1e-12))",
    "x ** -1": "K.maximum(x, 1e-7) ** -1",
    "x ** -0.5": "K.maximum(x, 1e-12) ** -0.5",
    "K.power(x, -2)": "K.power(K.maximum(x, 1e-7), -2)",
}

ANY_SIGN = {
    "a / b": "a / K.where(K.equal(b, 0), 1.0, b)",
    "a / (b - c)": "a / K.where(K.equal(b - c, 0), 1.0, b - c)",
    "a / b(x)": "a / K.where(K.equal((divisor := b(x)), 0), 1.0, divisor)",
    "K.reciprocal(x)": "K.reciprocal(K.where(K.equal(x, 0), 1.0, x))",
    "x ** -2": "K.where(K.equal(x, 0), 1.0, x) ** -2",
    "x ** -0.5": "K.maximum(x, 1e-12) ** -0.5",
}


@pytest.mark.parametrize(("before", "after"), NO_SIGN.items())
def test_a_divisor_without_sign_is_kept_above_zero(before, after):
    assert expressions(before, MECHANISM, POSITIVE)[0] == after


@pytest.mark.parametrize(("before", "after"), ANY_SIGN.items())
@pytest.mark.parametrize("facts", [Facts(), Facts("float32", -1.0, 1.0)])
def test_a_divisor_with_a_sign_is_one_where_it_was_zero(before, after, facts):
    assert expressions(before, MECHANISM, facts)[0] == after


def test_a_length_that_is_zero_is_guarded_where_it_is_computed():
    """`maximum(norm(x), eps)` would leave the derivative of the norm as it is."""
    length = "K.sqrt(K.maximum(K.sum(K.square(x), axis=-1, keepdims=True), 1e-12))"
    found = expressions("x / K.norm(x, axis=-1, keepdims=True)", MECHANISM, POSITIVE)
    assert found[0] == f"x / {length}"
    assert found[1] == "x / K.maximum(K.norm(x, axis=-1, keepdims=True), 1e-7)"
    text = (
        "from keras import ops\n"
        "def f(x):\n"
        "    s = ops.std(x, axis=0)\n"
        "    return «(x - ops.mean(x, axis=0)) / s»\n"
    )
    first = texts(text, MECHANISM, POSITIVE)[0]
    assert "    s = ops.sqrt(ops.maximum(ops.var(x, axis=0), 1e-12))\n" in first


def test_a_name_that_is_taken_is_not_used():
    header = "from keras import ops as K\ndivisor = 1"
    found = expressions("a / b(x)", MECHANISM, header=header)
    assert found == ["a / K.where(K.equal((divisor_2 := b(x)), 0), 1.0, divisor_2)"]


@pytest.mark.parametrize("expression", ["a / 2", "a * b", "x ** 2", "x ** y", "a // b"])
def test_no_division_by_zero(expression):
    assert expressions(expression, MECHANISM, POSITIVE) == []


@pytest.mark.parametrize("value", ["y", "(y)", "y.sum()"])
def test_an_augmented_assignment(value):
    text = f"import keras\ndef f(x, y):\n\t«x /= {value}»\n\treturn x\n"
    inner = value.strip("()") if value == "(y)" else value
    assert texts(text, MECHANISM, POSITIVE)[0] == (
        f"import keras\ndef f(x, y):\n\tx /= keras.ops.maximum({inner}, 1e-7)\n\treturn x\n"
    )


def test_an_augmented_power():
    text = "from keras import ops\ndef f(x):\n    «x **= -1»\n    return x\n"
    first, second = texts(text, MECHANISM, POSITIVE)
    assert "    x = ops.maximum(x, 1e-7) ** (-1)\n" in first
    assert "    x = ops.where(ops.equal(x, 0), 1.0, x) ** (-1)\n" in second


def test_divisions_of_the_same_form_are_repaired_together():
    text = (
        "from keras import ops\n"
        "def f(a, b, c, d):\n"
        "    x = «a / ops.sum(b)»\n"
        "    return x + c / ops.sum(d) + a / b + f'{a / ops.sum(b)}'\n"
    )
    both = edits(text, MECHANISM, POSITIVE)[0]
    assert both.num_places == 2
    assert "+ c / ops.maximum(ops.sum(d), 1e-7) + a / b + f" in both.apply()


def test_a_divisor_that_is_just_a_name_says_nothing_about_another():
    text = "from keras import ops\ndef f(a, b, n):\n    return «a / b» + a / n + n / b\n"
    both, one, *_ = texts(text, MECHANISM, POSITIVE)
    assert both.endswith("a / ops.maximum(b, 1e-7) + a / n + n / ops.maximum(b, 1e-7)\n")
    assert one.endswith("a / ops.maximum(b, 1e-7) + a / n + n / b\n")


def test_functions_of_pure_libraries_may_be_called_twice():
    (found,) = expressions("a / K.cast(b, 'float32')", MECHANISM)
    assert ":=" not in found
    (found,) = expressions("a / keras.random.normal((2,))", MECHANISM, header="import keras")
    assert ":=" in found


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("torch.div(a, b)", "torch.div(a, torch.clamp(b, min=1e-7))"),
        ("a.div(b)", "a.div(torch.clamp(b, min=1e-7))"),
        ("x.reciprocal()", "x.clamp(min=1e-7).reciprocal()"),
        ("x.rsqrt()", "x.clamp(min=1e-12).rsqrt()"),
    ],
)
def test_torch(before, after):
    assert expressions(before, MECHANISM, POSITIVE, header="import torch")[0] == after


@pytest.mark.usefixtures("tensorflow")
def test_tensorflow_takes_the_dtype_of_the_first_branch():
    found = expressions("tf.divide(a, b)", MECHANISM, header="import tensorflow as tf")
    assert found == ["tf.divide(a, tf.where(tf.equal(b, 0), tf.ones_like(b), b))"]
