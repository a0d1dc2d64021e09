"""What the rewrites compute: the same at healthy points, finite at the point that failed."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from stayfinite.repair import Facts, candidates
from tests.repair.helpers import marked

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="gradients by JAX")

ROWS = np.array([[0.3, -1.2, 0.8], [1.5, 0.4, -0.6]], "float32")
ZERO_ROW = np.array([[0.3, -1.2, 0.8], [0.0, 0.0, 0.0]], "float32")
HUGE = np.array([[0.3, -1.2, 200.0], [1.5, -200.0, -0.6]], "float32")
POSITIVE = np.array([0.5, 2.0, 1e-3], "float32")
WITH_ZERO = np.array([0.5, 0.0, 1e-3], "float32")


@dataclasses.dataclass
class Case:
    """`expression` of x in the words of keras.ops as K; `jax` the same where jnp differs."""

    mechanism: str
    expression: str
    healthy: Any
    failing: Any
    minimum: float | None = None
    jax: str | None = None
    headers: tuple[str, ...] = ("import keras.ops as K", "import jax, jax.numpy as K")


S, L, D, O, M = (
    "singular-gradient", "log-of-zero", "division-by-zero", "overflow", "masked-branch",
)  # fmt: skip
KERAS = ("import keras.ops as K",)

CASES = [
    Case(S, "K.sqrt(K.sum(K.square(x), axis=-1))", ROWS, ZERO_ROW),
    Case(S, "x ** 0.5", POSITIVE, WITH_ZERO),
    Case(S, "x ** 0.3", POSITIVE, WITH_ZERO),
    Case(S, "K.power(x, 0.5)", POSITIVE, WITH_ZERO),
    Case(S, "K.norm(x, axis=-1)", ROWS, ZERO_ROW, jax="K.linalg.norm(x, axis=-1)"),
    Case(S, "K.norm(x)", ROWS, 0 * ROWS, jax="K.linalg.norm(x)"),
    Case(S, "K.normalize(x, axis=-1)", ROWS, ZERO_ROW, headers=KERAS),
    Case(S, "K.std(x, axis=-1)", ROWS, ZERO_ROW),
    Case(S, "x.std(axis=-1)", ROWS, ZERO_ROW),
    Case(S, "K.arccos(x)", ROWS / 2, ROWS / 1.5),
    Case(S, "K.arcsin(x)", ROWS / 2, ROWS / -1.5),
    Case(S, "K.arctan2(x, 2 * x)", ROWS, ZERO_ROW),
    Case(S, "K.hypot(x, 2 * x)", ROWS, ZERO_ROW),
    Case(L, "K.log(x)", POSITIVE, WITH_ZERO),
    Case(L, "K.log1p(x)", POSITIVE, -np.array([1.0, 0.5, 0.0], "float32")),
    Case(L, "K.log(K.softmax(x, axis=-1))", ROWS, HUGE, jax="K.log(jax.nn.softmax(x, axis=-1))"),
    Case(L, "K.log(K.sigmoid(x))", ROWS, HUGE, jax="K.log(jax.nn.sigmoid(x))"),
    Case(L, "K.log(1 - K.sigmoid(x))", ROWS, HUGE, jax="K.log(1 - jax.nn.sigmoid(x))"),
    Case(L, "K.log(K.sum(K.exp(x), axis=-1))", ROWS, -HUGE * HUGE),
    Case(D, "1 / x", POSITIVE, WITH_ZERO, minimum=0.0),
    Case(D, "1 / x", ROWS, ZERO_ROW),
    Case(D, "K.reciprocal(x)", ROWS, ZERO_ROW),
    Case(D, "K.divide(2.0, K.sum(x))", POSITIVE, 0 * POSITIVE),
    Case(D, "K.rsqrt(x)", POSITIVE, WITH_ZERO, minimum=0.0, jax="jax.lax.rsqrt(x)"),
    Case(D, "x ** -2", ROWS, ZERO_ROW),
    Case(D, "K.exp(x) / K.sum(K.exp(x), -1, keepdims=True)", ROWS, -HUGE * HUGE),
    Case(O, "K.log(1 + «K.exp(x)»)", ROWS, HUGE),
    Case(O, "«K.exp(x)» / K.sum(K.exp(x), axis=-1, keepdims=True)", ROWS, HUGE),
    Case(O, "«K.exp(x)» / K.sum(K.exp(x))", ROWS, HUGE),
    Case(O, "K.log(K.sum(«K.exp(x)», axis=-1))", ROWS, HUGE),
    Case(O, "1 / (1 + «K.exp(-x)»)", ROWS, HUGE),
    Case(O, "(«K.exp(x)» - K.exp(-x)) / (K.exp(x) + K.exp(-x))", ROWS, HUGE),
    Case(O, "K.exp(x)", ROWS, HUGE),
    Case(O, "x ** 20", ROWS, HUGE),
    Case(O, "K.cosh(x)", ROWS, HUGE),
    Case(M, "K.where(x > 0, «K.log(x)», 0.0)", POSITIVE, WITH_ZERO),
    Case(M, "K.where(x > 0, «1 / x», 0.0)", ROWS, ZERO_ROW),
    Case(M, "K.where(x > 3, 0.0, «K.exp(x)»)", ROWS, HUGE[:1]),
]


def value_and_gradient(text, x):
    namespace = {}
    exec(compile(text, "user.py", "exec"), namespace)
    value = namespace["f"](jnp.asarray(x))
    gradient = jax.grad(lambda x: jnp.sum(jnp.asarray(namespace["f"](x))))(jnp.asarray(x))
    return np.asarray(value), np.asarray(gradient)


def variants():
    for case in CASES:
        for header in case.headers:
            expression = case.jax if "jax" in header and case.jax else case.expression
            yield pytest.param(case, header, expression, id=f"{header.split()[-3]}: {expression}")


@pytest.mark.parametrize(("case", "header", "expression"), variants())
def test_unchanged_where_healthy_and_finite_where_it_failed(case, header, expression):
    text = f"{header}\ndef f(x):\n    return {expression if '«' in expression else f'«{expression}»'}\n"
    found = marked(text)
    before = found.source.text
    for part in value_and_gradient(before, case.healthy):
        assert np.isfinite(part).all(), "the example is not healthy"
    broken = value_and_gradient(before, case.failing)
    assert not all(np.isfinite(part).all() for part in broken), "the example does not fail"
    edits = candidates(found, case.mechanism, Facts("float32", case.minimum))
    assert edits
    for old, new in zip(
        value_and_gradient(before, case.healthy),
        value_and_gradient(edits[0].apply(), case.healthy),
        strict=True,
    ):
        np.testing.assert_allclose(new, old, rtol=2e-5, atol=2e-6)
    for part in value_and_gradient(edits[0].apply(), case.failing):
        assert np.isfinite(part).all(), edits[0].apply()


@pytest.mark.parametrize("expression", ["K.log(x + 1e-8)", "K.log(K.clip(x, 1e-8, 1.0))", "1 / (x + 1e-8)"])
def test_half_precision(expression):
    mechanism = D if "/" in expression else L
    found = marked(f"import keras.ops as K\ndef f(x):\n    return «{expression}»\n")
    x = WITH_ZERO.astype("float16")
    assert not np.isfinite(value_and_gradient(found.source.text, x)[0]).all()
    edit = candidates(found, mechanism, Facts("float16", 0.0))[0]
    value, gradient = value_and_gradient(edit.apply(), x)
    assert value.dtype == np.float16
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()
