"""Every function of the table against the library itself: name, order of parameters, keywords."""

import importlib
import importlib.util

import keras
import numpy as np
import pytest

from stayfinite.repair.engine.evaluate import FLOATING, Evaluation
from stayfinite.repair.extraction.formulas import Formulas
from stayfinite.repair.extraction.operations import apply
from stayfinite.repair.extraction.shapes import CannotReadError
from stayfinite.repair.formula import BINARY, LeafRole, leaf
from stayfinite.repair.libraries import LIBRARIES
from tests.formulas.arithmetic import value_of
from tests.formulas.helpers import as_array

_ARRAY = np.random.default_rng(3).uniform(0.2, 0.9, (3, 4)).astype("float32")
_OTHER = np.random.default_rng(4).uniform(0.2, 0.9, (3, 4)).astype("float32")
_INDICES = np.array([[0, 1, 0, 3], [1, 1, 2, 0], [3, 0, 0, 1]])
_ATTRIBUTES = {
    "axis": 1,
    "keepdims": True,
    "shape": (4, 3),
    "shift": 1,
    "axes": (1, 0),
    "axis1": 0,
    "axis2": 1,
}
_LOGICAL = ("logical_and", "logical_or", "logical_not", "all", "any")


def _functions():
    for function in LIBRARIES.functions:
        library = function.home.partition(".")[0]
        if importlib.util.find_spec(library) is None or function.home == "keras.backend":
            continue
        try:
            module = importlib.import_module(function.home)
        except ImportError:
            # A namespace that is no module: `tensorflow.math`.
            module = getattr(importlib.import_module(library), function.home.partition(".")[2])
        if hasattr(module, function.name):
            yield function, getattr(module, function.name)


FUNCTIONS = list(_functions())


@pytest.mark.parametrize(
    ("function", "called"), FUNCTIONS, ids=[f"{f.home}.{f.name}" for f, _ in FUNCTIONS]
)
def test_the_library_computes_what_the_table_says(function, called):
    assert LIBRARIES.of(called).op == function.op
    positional, named, given = _arguments(function)
    row = Formulas()
    leaves = {}
    read = {}
    for role, value in given.items():
        if isinstance(value, list):
            read[role] = [_leaf(row, leaves, f"{role}{i}", one) for i, one in enumerate(value)]
        elif isinstance(value, np.ndarray):
            read[role] = _leaf(row, leaves, role, value)
        else:
            read[role] = value
    expected = value_of(apply(row, function.op, read), leaves)
    result = called(*positional, **named)
    if function.home == "torch" and function.name in ("max", "min"):
        result = result.values
    result = as_array(result)
    assert result.shape == expected.shape == row.shape(apply(row, function.op, read))
    assert np.asarray(result, "float64") == pytest.approx(np.asarray(expected, "float64"), rel=2e-4)


@pytest.mark.parametrize(
    ("shift", "axis"), [(5, None), (-1, 0), ((1, -1), (-1, 0)), ((1, 2), (1, 1)), (1, (0, 1))]
)
def test_a_roll_is_that_of_numpy_and_its_gradient_rolls_back(shift, axis):
    formulas, leaves = Formulas(), {}
    x = _leaf(formulas, leaves, "x", _ARRAY)
    rolled = apply(formulas, "roll", {"x": x, "shift": shift, "axis": axis})
    expected = np.roll(_ARRAY, shift, axis)
    assert np.array_equal(np.asarray(value_of(rolled, leaves), "float32"), expected)
    evaluation = Evaluation(FLOATING["jax"], leaves)
    gradient = evaluation.gradients(rolled, expected, [x])[x]
    assert np.array_equal(gradient, _ARRAY)


def test_an_argument_without_a_node_is_refused():
    row = LIBRARIES.named("keras.ops", "sum")
    with pytest.raises(TypeError):
        row.bind([1], {"initial": 0.0})
    with pytest.raises(CannotReadError):
        apply(Formulas(), "sum", {"x": leaf("x", LeafRole.DATA), "axis": None, "keepdims": False})


def _arguments(function):
    """The arguments for the library, operands by position, and by role for us."""
    library = function.home.partition(".")[0]
    positional, named, given = [], {}, {}
    for parameter in function.parameters:
        role = parameter.role
        value = _operand(function.op, role)
        is_operand = value is not None
        if role in _ATTRIBUTES:
            value = _ATTRIBUTES[role]
            if function.op == "flip" and library in ("tensorflow", "torch"):
                value = (value,)
        if role == "dtype":
            value = "float32"
        if value is None:
            given[role] = parameter.default
            continue
        given[role] = value
        converted = _converted(library, value, role)
        if (is_operand or role == "dtype") and not named:
            positional.append(converted)
        else:
            named[parameter.keyword] = converted
    return positional, named, given


def _operand(op, role):
    if op in _LOGICAL and role in ("x", "y"):
        return (_ARRAY if role == "x" else _OTHER) > 0.5
    if op in ("arccosh",) and role == "x":
        return _ARRAY + 1
    if op == "squeeze" and role == "x":
        return _ARRAY[:, :1]
    if op == "broadcast_to" and role == "x":
        return _ARRAY[:1, :3]
    known = {
        "x": _ARRAY,
        "y": _OTHER,
        "xs": [_ARRAY, _OTHER],
        "condition": _OTHER > 0.5,
        "indices": _INDICES,
        "loc": _OTHER,
        "scale": _OTHER + 1,
    }
    if role in ("minimum", "maximum") and op == "clip":
        return np.float32(0.4 if role == "minimum" else 0.6) * np.ones(1, "float32")
    assert op not in BINARY or role in ("x", "y")
    return known.get(role)


def _converted(library, value, role):
    if isinstance(value, list):
        return [_converted(library, one, role) for one in value]
    if library == "torch":
        import torch

        if role == "dtype":
            return torch.float32
        return torch.asarray(value) if isinstance(value, np.ndarray) else value
    if library == "keras" and isinstance(value, np.ndarray):
        return keras.ops.convert_to_tensor(value)
    if library == "jax" and isinstance(value, np.ndarray):
        import jax.numpy as jnp

        return jnp.asarray(value)
    return value


def _leaf(formulas, leaves, name, value):
    made = leaf(name, LeafRole.DATA)
    formulas.shapes[made] = value.shape
    leaves[made] = value
    return made
