"""Variables around arrays of JAX, which its functions do not take as they are."""

import pytest

from stayfinite.repair.patch import Patch
from stayfinite.repair.writing import write
from tests.formulas.helpers import ARRAYS, extracted

jnp = pytest.importorskip("jax.numpy")


class Wrapped:
    """As a variable of Keras on JAX."""

    shape, dtype = (), "float32"

    def __init__(self, value):
        self.value = value
        self.assign = None

    def __jax_array__(self):
        return jnp.asarray(self.value)


class Baseline:
    def __init__(self, level):
        self.level = Wrapped(level)

    def total(self, x):
        return jnp.log(jnp.exp(x) + jnp.exp(x * self.level))

    def total_exact(self, x):
        return jnp.logaddexp(x, x * self.level)

    def highest(self, x):
        return x + self.level

    def highest_exact(self, x):
        return x + jnp.maximum(self.level.value, 0.0)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("total", "return jnp.logaddexp(x, x * self.level)"),
        ("highest", "return x + jnp.maximum(self.level.value, 0.0)"),
    ],
)
def test_a_function_gets_the_value_of_a_variable(name, line):
    living = Baseline(0.5)
    naive, exact = (
        extracted(getattr(Baseline, each), {"x": ARRAYS["x"]}, living)
        for each in (name, f"{name}_exact")
    )
    written = write(naive, exact.root)
    patch = Patch.start(written.edit.source).then(written.edit)
    assert f"+        {line}" in patch.diff("file.py").splitlines()
