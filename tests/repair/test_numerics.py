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
ZERO_SAMPLE = np.array([[0.3, -1.2, 0.8], [0.0, 0.0, 0.0]], "float32")
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


GRADIENT = "singular-gradient"
LOG = "log-of-zero"
DIVISION = "division-by-zero"
OVERFLOW = "overflow"
masked = "masked-branch"
KERAS = ("import keras.ops as K",)

CASES = [
    Case(GRADIENT, "K.sqrt(K.sum(K.square(x), axis=-1))", ROWS, ZERO_SAMPLE),
    Case(GRADIENT, "x ** 0.5", POSITIVE, WITH_ZERO),
    Case(GRADIENT, "x ** 0.3", POSITIVE, WITH_ZERO),
    Case(GRADIENT, "K.power(x, 0.5)", POSITIVE, WITH_ZERO),
    Case(GRADIENT, "K.norm(x, axis=-1)", ROWS, ZERO_SAMPLE, jax="K.linalg.norm(x, axis=-1)"),
    Case(GRADIENT, "K.norm(x)", ROWS, 0 * ROWS, jax="K.linalg.norm(x)"),
    Case(GRADIENT, "K.normalize(x, axis=-1)", ROWS, ZERO_SAMPLE, headers=KERAS),
    Case(GRADIENT, "K.std(x, axis=-1)", ROWS, ZERO_SAMPLE),
    Case(GRADIENT, "x.std(axis=-1)", ROWS, ZERO_SAMPLE),
    Case(GRADIENT, "K.arccos(x)", ROWS / 2, ROWS / 1.5),
    Case(GRADIENT, "K.arcsin(x)", ROWS / 2, ROWS / -1.5),
    Case(GRADIENT, "K.arctan2(x, 2 * x)", ROWS, ZERO_SAMPLE),
    Case(LOG, "K.log(x)", POSITIVE, WITH_ZERO),
    Case(LOG, "K.log1p(x)", POSITIVE, -np.array([1.0, 0.5, 0.0], "float32")),
    Case(LOG, "K.log(K.softmax(x, axis=-1))", ROWS, HUGE, jax="K.log(jax.nn.softmax(x, axis=-1))"),
    Case(LOG, "K.log(K.sigmoid(x))", ROWS, HUGE, jax="K.log(jax.nn.sigmoid(x))"),
    Case(LOG, "K.log(1 - K.sigmoid(x))", ROWS, HUGE, jax="K.log(1 - jax.nn.sigmoid(x))"),
    Case(LOG, "K.log(K.sum(K.exp(x), axis=-1))", ROWS, ROWS - 200),
    Case(DIVISION, "1 / x", POSITIVE, WITH_ZERO, minimum=0.0),
    Case(DIVISION, "1 / x", ROWS, ZERO_SAMPLE),
    Case(DIVISION, "K.reciprocal(x)", ROWS, ZERO_SAMPLE),
    Case(DIVISION, "K.divide(2.0, K.sum(x))", POSITIVE, 0 * POSITIVE),
    Case(DIVISION, "x / K.sqrt(K.sum(K.square(x), axis=-1, keepdims=True))", ROWS, ZERO_SAMPLE),
    Case(DIVISION, "(x - 1) / K.std(x, axis=-1, keepdims=True)", ROWS, ZERO_SAMPLE, minimum=0.0),
    Case(DIVISION, "K.rsqrt(x)", POSITIVE, WITH_ZERO, minimum=0.0, jax="jax.lax.rsqrt(x)"),
    Case(DIVISION, "x ** -2", ROWS, ZERO_SAMPLE),
    Case(DIVISION, "K.exp(x) / K.sum(K.exp(x), -1, keepdims=True)", ROWS, ROWS - 200),
    Case(OVERFLOW, "K.log(1 + «K.exp(x)»)", ROWS, HUGE),
    Case(OVERFLOW, "«K.exp(x)» / K.sum(K.exp(x), axis=-1, keepdims=True)", ROWS, HUGE),
    Case(OVERFLOW, "«K.exp(x)» / K.sum(K.exp(x))", ROWS, HUGE),
    Case(OVERFLOW, "K.log(K.sum(«K.exp(x)», axis=-1))", ROWS, HUGE),
    Case(OVERFLOW, "1 / (1 + «K.exp(-x)»)", ROWS, HUGE),
    Case(OVERFLOW, "(«K.exp(x)» - K.exp(-x)) / (K.exp(x) + K.exp(-x))", ROWS, HUGE),
    Case(OVERFLOW, "K.exp(x)", ROWS, HUGE),
    Case(OVERFLOW, "x ** 20", ROWS, HUGE),
    Case(OVERFLOW, "K.cosh(x)", ROWS, HUGE),
    Case(masked, "K.where(x > 0, «K.log(x)», 0.0)", POSITIVE, WITH_ZERO),
    Case(masked, "K.where(x > 0, «1 / x», 0.0)", ROWS, ZERO_SAMPLE),
    Case(masked, "K.where(x > 3, 0.0, «K.exp(x)»)", ROWS, HUGE[:1]),
]


def compiled(text):
    """The function `f` of a text, as one of an array; it returns value and gradient."""
    namespace = {}
    exec(compile(text, "user.py", "exec"), namespace)

    def total(x):
        value = jnp.asarray(namespace["f"](x))
        return jnp.sum(value), value

    computed = jax.jit(jax.grad(total, has_aux=True))

    def value_and_gradient(x):
        gradient, value = computed(jnp.asarray(x))
        return np.asarray(value), np.asarray(gradient)

    return value_and_gradient


VARIANTS = [
    pytest.param(case, header, text, id=f"{'jnp' if 'jax' in header else 'keras'}: {text}")
    for case in CASES
    for header in case.headers
    for text in [case.jax if "jax" in header and case.jax else case.expression]
]


@pytest.mark.parametrize(("case", "header", "expression"), VARIANTS)
def test_unchanged_where_healthy_and_finite_where_it_failed(case, header, expression):
    body = expression if "«" in expression else f"«{expression}»"
    text = f"{header}\ndef f(x):\n    return {body}\n"
    found = marked(text)
    before = compiled(found.source.text)
    healthy = before(case.healthy)
    assert all(np.isfinite(part).all() for part in healthy), "the example is not healthy"
    broken = before(case.failing)
    assert not all(np.isfinite(part).all() for part in broken), "the example does not fail"
    edits = candidates(found, case.mechanism, Facts("float32", case.minimum))
    assert edits
    after = compiled(edits[0].apply())
    for old, new in zip(healthy, after(case.healthy), strict=True):
        np.testing.assert_allclose(new, old, rtol=2e-5, atol=2e-6)
    for part in after(case.failing):
        assert np.isfinite(part).all(), edits[0].apply()


HALF = [
    (LOG, "K.log(x + 1e-8)", WITH_ZERO),
    (LOG, "K.log(K.clip(x, 1e-8, 1.0))", WITH_ZERO),
    (DIVISION, "1 / (x + 1e-8)", WITH_ZERO),
    (DIVISION, "K.rsqrt(x)", WITH_ZERO),
    (DIVISION, "x ** -1", WITH_ZERO),
    (GRADIENT, "K.sqrt(x)", WITH_ZERO),
    (GRADIENT, "x ** 0.1", WITH_ZERO),
    (GRADIENT, "K.std(x, axis=-1)", ZERO_SAMPLE),
    (GRADIENT, "K.norm(x, axis=-1)", ZERO_SAMPLE),
    (GRADIENT, "K.normalize(x)", ZERO_SAMPLE),
    (GRADIENT, "K.arccos(x)", np.array([1.0, 0.5], "float32")),
    (OVERFLOW, "K.exp(x)", HUGE),
    (OVERFLOW, "x ** 4", HUGE),
    (OVERFLOW, "K.square(x)", HUGE * 2),
]


@pytest.mark.parametrize(("mechanism", "expression", "failing"), HALF)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(mechanism, expression, failing, dtype):
    found = marked(f"import keras.ops as K\ndef f(x):\n    return «{expression}»\n")
    edit = candidates(found, mechanism, Facts(dtype, 0.0))[0]
    x = jnp.asarray(failing, dtype)
    value, gradient = compiled(edit.apply())(x)
    assert value.dtype == dtype
    for part in (value, gradient):
        assert np.isfinite(part.astype("float32")).all(), (edit.apply(), part)
