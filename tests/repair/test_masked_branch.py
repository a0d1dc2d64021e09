import pytest

from tests.repair.helpers import expressions, texts

MECHANISM = "masked-branch"

CASES = {
    "K.where(x > 0, «K.log(x)», 0.0)": "K.where(x > 0, K.log(K.where(x > 0, x, 1.0)), 0.0)",
    "K.where(mask, 0.0, a * «K.sqrt(x)»)": "K.where(mask, 0.0, a * K.sqrt(K.where(mask, 1.0, x)))",
    "K.where(mask, «a / b», 0.0)": "K.where(mask, a / K.where(mask, b, 1.0), 0.0)",
    "K.where(mask, «a / (b + c)», 0)": "K.where(mask, a / K.where(mask, b + c, 1.0), 0)",
    "K.where(mask, x1=«K.exp(x)», x2=x)": "K.where(mask, x1=K.exp(K.where(mask, x, 0.0)), x2=x)",
    "K.where(mask, «x ** 0.5», x)": "K.where(mask, K.where(mask, x, 1.0) ** 0.5, x)",
    "K.sum(K.where(mask, K.mean(«K.log1p(x)»), 0))":
        "K.sum(K.where(mask, K.mean(K.log1p(K.where(mask, x, 0.0))), 0))",
    "K.where(a, K.where(b, «K.log(x)», 0), 0)":
        "K.where(a, K.where(b, K.log(K.where(b, x, 1.0)), 0), 0)",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CASES.items())
def test_the_operand_is_harmless_where_the_branch_is_discarded(before, after):
    assert expressions(before, MECHANISM)[0] == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mask * «K.log(x)»", "mask * K.log(K.maximum(x, 1e-7))"),
        ("K.where(«K.log(x)», 0, 1)", "K.where(K.log(K.maximum(x, 1e-7)), 0, 1)"),
        ("K.where(a(x), «K.log(x)», 1)", "K.where(a(x), K.log(K.maximum(x, 1e-7)), 1)"),
        ("K.where(a, «K.std(x)», 1)", "K.where(a, K.sqrt(K.maximum(K.var(x), 1e-12)), 1)"),
    ],
)  # fmt: skip
def test_without_a_condition_that_can_be_repeated_the_operation_is_guarded(before, after):
    assert expressions(before, MECHANISM)[0] == after


def test_through_a_variable():
    text = (
        "from keras import ops\n"
        "def f(x):\n"
        "    mask = x > 0\n"
        "    y = «ops.log(x)»\n"
        "    return ops.where(mask, y, 0.0)\n"
    )
    assert "    y = ops.log(ops.where(mask, x, 1.0))\n" in texts(text, MECHANISM)[0]


def test_a_condition_that_does_not_exist_yet_cannot_be_used():
    text = (
        "from keras import ops\n"
        "def f(x):\n"
        "    y = «ops.log(x)»\n"
        "    mask = x > 0\n"
        "    return ops.where(mask, y, 0.0)\n"
    )
    assert "    y = ops.log(ops.maximum(x, 1e-7))\n" in texts(text, MECHANISM)[0]


@pytest.mark.usefixtures("tensorflow")
def test_tensorflow_takes_the_dtype_of_the_first_branch():
    found = expressions(
        "tf.where(mask, 0.0, «tf.math.log(x)»)", MECHANISM, header="import tensorflow as tf"
    )
    assert found[0] == "tf.where(mask, 0.0, tf.math.log(tf.where(mask, tf.ones_like(x), x)))"


def test_nan_is_taken_out_before_the_square():
    text = "from keras import ops\ndef f(x, y):\n    z = «(x - y) ** 2»\n    return ops.sum({})\n"
    hidden = texts(text.format("ops.nan_to_num(z)"), MECHANISM)[0]
    assert "z = ops.nan_to_num(x - y) ** 2\n" in hidden
    assert not any("nan_to_num" in other for other in texts(text.format("z"), MECHANISM))
