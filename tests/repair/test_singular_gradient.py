import pytest

from stayfinite.repair import BoundAdded, BoundedPart, Facts
from tests.repair.helpers import edits, expressions, texts

MECHANISM = "singular-gradient"

KERAS = {
    "K.sqrt(K.sum(x, axis=-1))": "K.sqrt(K.maximum(K.sum(x, axis=-1), 1e-12))",
    "K.sqrt((a + b))": "K.sqrt(K.maximum(a + b, 1e-12))",
    "K.sqrt(x=a)": "K.sqrt(x=K.maximum(a, 1e-12))",
    "K.sqrt(a if b else c)": "K.sqrt(K.maximum(a if b else c, 1e-12))",
    "K.sqrt(x + 1e-16)": "K.sqrt(K.maximum(x, 1e-12))",
    "K.sqrt(K.maximum(x, 0.0))": "K.sqrt(K.maximum(x, 1e-12))",
    "K.rsqrt(x)": "K.rsqrt(K.maximum(x, 1e-12))",
    "x ** 0.5": "K.maximum(x, 1e-12) ** 0.5",
    "(a - b) ** 0.5": "K.maximum(a - b, 1e-12) ** 0.5",
    "x ** y": "K.maximum(x, 1e-12) ** y",
    "pow(x, .5)": "pow(K.maximum(x, 1e-12), .5)",
    "K.power(x, 0.25)": "K.power(K.maximum(x, 1e-24), 0.25)",
    "K.norm(x)": "K.sqrt(K.maximum(K.sum(K.square(x)), 1e-12))",
    "K.norm(x - y, 2, -1, True)":
        "K.sqrt(K.maximum(K.sum(K.square(x - y), axis=-1, keepdims=True), 1e-12))",
    "K.norm(x, axis=(1, 2), ord='fro')":
        "K.sqrt(K.maximum(K.sum(K.square(x), axis=(1, 2)), 1e-12))",
    "K.normalize(x)": "x * K.rsqrt(K.maximum(K.sum(K.square(x), axis=-1, keepdims=True), 1e-12))",
    "K.std(x, axis=0, keepdims=True)":
        "K.sqrt(K.maximum(K.var(x, axis=0, keepdims=True), 1e-12))",
    "K.arccos(x)": "K.arccos(K.clip(x, -1 + 1e-6, 1 - 1e-6))",
    "K.arcsin(a * b)": "K.arcsin(K.clip(a * b, -1 + 1e-6, 1 - 1e-6))",
    "K.arccosh(1.0 + x / y)": "K.arccosh(K.maximum(1.0 + x / y, 1 + 1e-6))",
    "K.erfinv(x)": "K.erfinv(K.clip(x, -1 + 1e-6, 1 - 1e-6))",
    "K.logit(x)": "K.logit(K.clip(x, 1e-6, 1 - 1e-6))",
    "K.arctan2(y, x)": "K.arctan2(y, K.where(K.equal(K.abs(y) + K.abs(x), 0), 1.0, x))",
    "K.hypot(x, y)": "K.sqrt(K.maximum(K.square(x) + K.square(y), 1e-12))",
    # A span that is too wide: the operation inside is found.
    "K.mean(K.sqrt(x))": "K.mean(K.sqrt(K.maximum(x, 1e-12)))",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), KERAS.items())
def test_keras(before, after):
    assert expressions(before, MECHANISM) == [after]


@pytest.mark.parametrize(
    "expression", ["K.norm(x, ord=1)", "K.norm(x, y)", "K.abs(x)", "x ** 2", "x * y", "f(x)", "-x"]
)
def test_nothing_to_guard(expression):
    assert expressions(expression, MECHANISM) == []


@pytest.mark.parametrize(
    ("dtype", "bound"),
    [("float16", "1e-6"), ("bfloat16", "1e-12"), ("float64", "1e-12"), ("int8", "1e-12")],
)
def test_the_bound_suits_the_dtype(dtype, bound):
    after = f"K.sqrt(K.maximum(x, {bound}))"
    assert expressions("K.sqrt(x)", MECHANISM, Facts(dtype)) == [after]


LENGTH = "K.rsqrt(K.maximum(K.sum(K.square(x), axis=-1, keepdims=True), 1e-12))"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("«K.normalize(a - b)»", f"(a - b) * {LENGTH}".replace("(x)", "(a - b)")),
        ("1 + «K.normalize(x)»", f"1 + x * {LENGTH}"),
        ("y / «K.normalize(x)»", f"y / (x * {LENGTH})"),
        ("(«K.normalize(x)»)[0]", f"(x * {LENGTH})[0]"),
        ("«K.normalize(x)»[0]", f"(x * {LENGTH})[0]"),
    ],
)
def test_parentheses_where_operators_need_them(before, after):
    assert expressions(before, MECHANISM) == [after]


def test_a_value_that_may_differ_the_second_time_is_computed_once():
    after = expressions("K.normalize(a(x))", MECHANISM)
    assert after == ["(vector := a(x)) * " + LENGTH.replace("(x)", "(vector)")]


TORCH = {
    "torch.special.entr(x)": "torch.special.entr(torch.clamp(x, min=1e-20))",
    "torch.sqrt(x)": "torch.sqrt(torch.clamp(x, min=1e-12))",
    "x.sqrt()": "x.clamp(min=1e-12).sqrt()",
    "(a - b).pow(0.5)": "(a - b).clamp(min=1e-12).pow(0.5)",
    "(x + 1e-16).sqrt()": "x.clamp(min=1e-12).sqrt()",
    "torch.norm(x, dim=1)": "torch.sqrt(torch.clamp(torch.sum(torch.square(x), dim=1), min=1e-12))",
    "torch.linalg.vector_norm(x, 2, 1, True)":
        "torch.sqrt(torch.clamp(torch.sum(torch.square(x), dim=1, keepdim=True), min=1e-12))",
    "(a - b).norm(2, dim=-1)": "(a - b).square().sum(dim=-1).clamp(min=1e-12).sqrt()",
    "x.norm()": "x.square().sum().clamp(min=1e-12).sqrt()",
    "x.std(1)": "x.var(1).clamp(min=1e-12).sqrt()",
    "x.acos()": "x.clamp(-1 + 1e-6, 1 - 1e-6).acos()",
    "torch.atan2(y, x)":
        "torch.atan2(y, torch.where(torch.eq(torch.abs(y) + torch.abs(x), 0), 1.0, x))",
    "torch.nn.functional.normalize(x)":
        "x * torch.rsqrt(torch.clamp(torch.sum(torch.square(x), dim=1, keepdim=True), min=1e-12))",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), TORCH.items())
@pytest.mark.usefixtures("torch")
def test_torch(before, after):
    assert expressions(before, MECHANISM, header="import torch") == [after]


TENSORFLOW = {
    "tf.sqrt(x)": "tf.sqrt(tf.maximum(x, 1e-12))",
    "tf.math.sqrt(x)": "tf.math.sqrt(tf.maximum(x, 1e-12))",
    "tf.norm(x, 'euclidean', axis=1)":
        "tf.sqrt(tf.maximum(tf.reduce_sum(tf.square(x), axis=1), 1e-12))",
    "tf.math.reduce_std(x, axis=0)":
        "tf.sqrt(tf.maximum(tf.math.reduce_variance(x, axis=0), 1e-12))",
    "tf.math.acos(x)": "tf.math.acos(tf.clip_by_value(x, -1 + 1e-6, 1 - 1e-6))",
    "tf.nn.l2_normalize(x, axis=1)":
        "x * tf.math.rsqrt(tf.maximum(tf.reduce_sum(tf.square(x), axis=1, keepdims=True), 1e-12))",
    "tf.math.atan2(y, x)":
        "tf.math.atan2(y, tf.where(tf.equal(tf.abs(y) + tf.abs(x), 0), tf.ones_like(x), x))",
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), TENSORFLOW.items())
@pytest.mark.usefixtures("tensorflow")
def test_tensorflow(before, after):
    assert expressions(before, MECHANISM, header="import tensorflow as tf") == [after]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "jnp.linalg.norm(x, axis=1)",
            "jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(x), axis=1), 1e-12))",
        ),
        ("x.std(axis=0)", "jnp.sqrt(jnp.maximum(x.var(axis=0), 1e-12))"),
        ("jnp.hypot(x, y)", "jnp.sqrt(jnp.maximum(jnp.square(x) + jnp.square(y), 1e-12))"),
    ],
)
def test_jax(before, after):
    assert expressions(before, MECHANISM, header="import jax.numpy as jnp") == [after]


def test_an_augmented_power():
    text = "from keras import ops\ndef f(x, y):\n    «x **= 1 / y»\n    return x\n"
    (found,) = texts(text, MECHANISM)
    assert found.endswith("    x = ops.maximum(x, 1e-12) ** (1 / y)\n    return x\n")


TRIPLET = """\
from keras import ops

def triplet_loss(y_true, y_pred):
    anchor, positive, negative = y_pred
    d_positive = «ops.sqrt(ops.sum(ops.square(anchor - positive), axis=-1))»
    d_negative = ops.sqrt(ops.sum(ops.square(anchor - negative), axis=-1))
    scale = ops.sqrt(128.0) + ops.sqrt(ops.cast(2, "float32")) + ops.sqrt(anchor + 1e-3)
    return ops.maximum(d_positive - d_negative + 0.2, 0.0) / scale
"""


def test_the_same_mistake_at_another_place_is_repaired_first_together_then_alone():
    both, one = edits(TRIPLET, MECHANISM)
    assert both.function == "triplet_loss"
    assert both.num_places == 2
    assert both.apply().count("ops.maximum(ops.sum(") == 2
    assert both.apply().count("1e-12") == 2, "numbers and guarded arguments are left alone"
    assert one.does == both.does == BoundAdded(BoundedPart.ARGUMENT, "sqrt", low="0")
    assert one.apply().count("1e-12") == 1


def test_the_same_mistake_inside_itself():
    text = "from keras import ops\ndef f(x):\n    return «ops.sqrt(ops.sqrt(ops.sqrt(x)))»\n"
    both, _ = edits(text, MECHANISM)
    guarded = "ops.sqrt(ops.maximum(ops.sqrt(ops.maximum(ops.sqrt(x), 1e-12)), 1e-12))"
    assert f"return {guarded}\n" in both.apply()


def test_other_functions_are_left_alone():
    text = "from keras import ops\ng = lambda x: ops.sqrt(x)\nf = lambda x: «ops.sqrt(x)»\n"
    assert len(edits(text, MECHANISM)) == 1


def test_an_unknown_mechanism_is_an_error():
    with pytest.raises(ValueError, match="'bad-luck'"):
        edits(TRIPLET, "bad-luck")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x ** p", "K.sign(x) * K.maximum(K.abs(x), 1e-12) ** p"),
        ("K.power(x - y, p)", "K.sign(x - y) * K.power(K.maximum(K.abs(x - y), 1e-12), p)"),
        ("2 / «x ** p»", "2 / (K.sign(x) * K.maximum(K.abs(x), 1e-12) ** p)"),
    ],
)
def test_power_of_numbers_below_0_may_keep_their_sign(before, after):
    assert after in expressions(before, MECHANISM, Facts("float32", -3.0, 2.0))


@pytest.mark.parametrize(
    ("before", "after"),
    [("K.sqrt(n)", "K.sqrt(K.maximum(n, 1.0))"), ("n ** -0.5", "K.maximum(n, 1.0) ** -0.5")],
)
def test_number_of_things_is_kept_at_1(before, after):
    assert expressions(before, MECHANISM, Facts("float32", 0.0, 9.0, counts=True))[0] == after
