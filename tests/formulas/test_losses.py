"""From the source of a naive loss to a source with the exact value, in the installed framework."""

import inspect

import keras
import numpy as np
import pytest

from stayfinite.repair.engine.problem import FixValue, FormulaProblem
from stayfinite.repair.engine.search import search
from stayfinite.repair.extraction import extract
from stayfinite.repair.formula import name_of, walk
from stayfinite.repair.writing import available, write
from tests.formulas.cases import losses
from tests.formulas.helpers import returned

# The sources are in the words of Keras; those of each library are in `test_round_trip.py`.
pytestmark = pytest.mark.slow_on("jax", "tensorflow")


def _found(name, arrays):
    function = getattr(losses, name)
    extraction = extract(function, returned(function), None, arrays)
    problem = FormulaProblem(
        extraction.root,
        extraction.arrays(),
        tuple(leaf for leaf in extraction.leaves if leaf.attribute("name") != "event"),
        framework=keras.backend.backend(),
        available=available(extraction),
    )
    return extraction, search(problem, seconds=1.0)


def _value(function, arrays):
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays.values()]
    return keras.ops.convert_to_numpy(function(*tensors))


@pytest.mark.parametrize("name", losses.ARRAYS)
def test_the_written_form_has_the_exact_value(name):
    arrays = losses.ARRAYS[name]
    extraction, rewrites = _found(name, arrays)
    assert rewrites[0].value is FixValue.EXACT
    space = {}
    exec(write(extraction, rewrites[0].root).edit.apply(), space)
    exact = _value(getattr(losses, f"{name}_exact"), arrays)
    assert np.isfinite(exact).all()
    assert _value(space[name], arrays) == pytest.approx(exact, rel=1e-5)
    assert np.isfinite(_value(getattr(losses, name), arrays)).all() == (name in _BAD_SLOPE)


# The value is finite as written, the gradient is not.
_BAD_SLOPE = ("error_power", "hyperbolic")


@pytest.mark.parametrize("name", ["focal", "error_power"])
def test_a_parameter_keeps_its_name(name):
    extraction, rewrites = _found(name, losses.ARRAYS[name])
    assert "gamma" in {name_of(x) for x in walk(rewrites[0].root)}
    text = write(extraction, rewrites[0].root).edit.apply()
    body = text.partition(f"def {name}(")[2].partition("\n\n\n")[0]
    assert "gamma" in body.partition(":\n")[2]
    assert "gamma" in inspect.signature(getattr(losses, name)).parameters


@pytest.mark.parametrize("name", losses.WITHOUT_EXACT_FORM)
def test_nothing_is_called_exact_where_there_is_no_exact_value(name):
    value, arrays = losses.WITHOUT_EXACT_FORM[name]
    _, rewrites = _found(name, arrays)
    assert rewrites
    assert {rewrite.value for rewrite in rewrites} == {FixValue(value)}
