"""Sources that are no plain function of a file: cells, lambdas, wrappers, methods, modules."""

import functools
import linecache

import numpy as np
import pytest
from keras import ops

from stayfinite.graph.graph import Span
from stayfinite.repair import Patch, swapped
from stayfinite.repair.extraction import ExtractionError, extract
from stayfinite.repair.formula import constant, node, replaced, walk
from stayfinite.repair.writing import CannotWriteError, write

# Nothing here depends on the framework but the functions that are called.
pytestmark = pytest.mark.slow_on("jax", "tensorflow")
_X = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")


def _span(text, expression, file):
    before, _, _ = text.partition(expression)
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1)
    lines = expression.split("\n")
    width = len(lines[-1]) + (column if len(lines) == 1 else 0)
    return Span(file, line, column, line + len(lines) - 1, width, "f")


def _cell(text, name="<ipython-input-7-abc>"):
    """A module whose source is in `linecache` only, as in a notebook."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space = {}
    exec(compile(text, name, "exec"), space)
    return space


def _softplus(extraction):
    log = next(n for n in walk(extraction.root) if n.op == "log")
    x = next(n for n in walk(log) if n.op == "exp").operands[0]
    return replaced(extraction.root, log, node("softplus", x))


def _after(text, expression, function="f", **bound):
    space = _cell(text)
    extraction = extract(
        space[function],
        _span(text, expression, "<ipython-input-7-abc>"),
        None,
        bound or {"x": _X},
    )
    written = write(extraction, _softplus(extraction))
    patch = Patch.start(written.edit.source).then(written.edit)
    return space, patch


def test_a_notebook_cell_is_read_rewritten_and_swapped():
    text = "from keras import ops\ndef f(x):\n    return ops.log(1.0 + ops.exp(x))  # naive\n"
    space, patch = _after(text, "ops.exp(x)")
    assert patch.source.text.endswith("    return ops.softplus(x)  # naive\n")
    far = np.array([500.0], "float32")
    with swapped(patch):
        assert np.asarray(ops.convert_to_numpy(space["f"](far))) == pytest.approx(500.0)
    assert np.isinf(np.asarray(ops.convert_to_numpy(space["f"](far))))


def test_one_of_two_lambdas_on_a_line():
    text = (
        "from keras import ops\n"
        "f, g = (lambda x: x * 2.0), (lambda x: -ops.log(1.0 + ops.exp(x)))\n"
    )
    _, patch = _after(text, "ops.log(1.0 + ops.exp(x))", "g")
    assert "(lambda x: -ops.softplus(x))" in patch.source.text


def test_a_statement_of_two_lines_keeps_its_layout():
    text = (
        "from keras import ops\n"
        "def f(x):\n"
        "    # the loss\n"
        "    return ops.mean(\n"
        "        ops.log(1.0 + ops.exp(x)),  # of each\n"
        "        axis=-1,\n"
        "    )\n"
    )
    _, patch = _after(text, "ops.exp(x)")
    assert patch.source.text == text.replace("ops.log(1.0 + ops.exp(x))", "ops.softplus(x)")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2.0 * (ops.log(1.0 + ops.exp(x)))", "2.0 * ops.softplus(x)"),
        ("x ** ops.log(1.0 + ops.exp(x))", "x ** ops.softplus(x)"),
        ("ops.log(1.0 + ops.exp(x))[:, 0]", "ops.softplus(x)[:, 0]"),
        ("{'a': ops.log(1.0 + ops.exp(x))}['a']", "{'a': ops.softplus(x)}['a']"),
    ],
)
def test_the_place_of_an_expression(before, after):
    text = f"from keras import ops\ndef f(x):\n    return {before}\n"
    _, patch = _after(text, "ops.log(1.0 + ops.exp(x))")
    assert patch.source.text == text.replace(before, after)


def test_what_others_read_is_kept_and_the_rest_goes():
    text = (
        "from keras import ops\n"
        "def f(x):\n"
        "    odds = ops.exp(x)\n"
        "    total = 1.0 + odds\n"
        "    loss = ops.log(total)\n"
        "    return loss * ops.stop_gradient(odds)\n"
    )
    _, patch = _after(text, "ops.log(total)")
    assert "    total" not in patch.source.text
    assert "    odds = ops.exp(x)\n" in patch.source.text


def test_an_import_is_added_where_the_library_has_no_name_yet():
    text = "import keras.ops as K\ndef f(x):\n    return K.log(1.0 + K.exp(x))\n"
    _, patch = _after(text, "K.exp(x)")
    assert patch.source.text.endswith("    return K.softplus(x)\n")
    text = "from keras.ops import exp, log\ndef f(x):\n    return log(1.0 + exp(x))\n"
    _, patch = _after(text, "exp(x))")
    assert "from keras import ops\n" in patch.source.text
    assert patch.source.text.endswith("    return ops.softplus(x)\n")


def test_a_partial_and_a_dictionary_of_functions():
    text = (
        "import functools\n"
        "from keras import ops\n"
        "def scaled(x, by):\n"
        "    return ops.log(1.0 + ops.exp(x * by))\n"
        "FUNCTIONS = {'half': functools.partial(scaled, by=0.5)}\n"
        "def f(x):\n"
        "    return FUNCTIONS['half'](x)\n"
    )
    _, patch = _after(text, "ops.exp(x * by)")
    assert "    return ops.softplus(x * by)\n" in patch.source.text
    assert functools.partial(_after).func is _after


def test_a_call_that_cannot_be_looked_into_is_not_written_twice():
    text = "from keras import ops\ndef f(x, layer):\n    return ops.log(1.0 + ops.exp(layer(x)))\n"
    space = _cell(text)
    span = _span(text, "ops.exp(layer(x))", "<ipython-input-7-abc>")
    extraction = extract(space["f"], span, None, {"x": _X})
    [leaf] = extraction.leaves
    assert leaf.attribute("name") == "layer(x)"
    written = write(extraction, _softplus(extraction))
    assert "ops.softplus(layer(x))" in written.edit.apply()
    log = next(n for n in walk(extraction.root) if n.op == "log")
    twice = replaced(
        extraction.root, log, node("add", leaf, node("softplus", node("negative", leaf)))
    )
    text_of_twice = write(extraction, twice).edit.apply()
    assert text_of_twice.count("layer(x)") == 1


def test_a_function_that_cannot_be_followed_gives_an_operand():
    text = (
        "from keras import ops\n"
        "def net(x, layers):\n    for layer in layers[:-1]:\n        x = layer(x)\n"
        "    return layers[-1](x)\n"
        "def f(x, layers):\n    z = net(x, layers)\n    return ops.log(1.0 + ops.exp(z))\n"
    )
    _, patch = _after(text, "ops.exp(z)")
    assert "return ops.softplus(z)" in patch.diff()


def test_a_sequence_of_unknown_length_may_be_passed_on():
    """As by `optimizer.apply_gradients(zip(gradients, variables))` in a step of the user's own."""
    text = (
        "from keras import ops\n"
        "def f(x, tape, update):\n    loss = ops.log(1.0 + ops.exp(x))\n"
        "    gradients = tape.gradient(loss)\n    update(zip(gradients, tape.variables))\n"
        "    return loss\n"
    )
    _, patch = _after(text, "ops.exp(x)")
    assert "loss = ops.softplus(x)" in patch.diff()


def test_no_source_and_no_way_to_the_value():
    space = {}
    exec("def f(x):\n    return x\n", space)
    with pytest.raises(ExtractionError):
        extract(space["f"], Span("<string>", 2, 11, 2, 12, "f"), None, {"x": _X})
    text = "from keras import ops\ndef f(x):\n    ops.exp(x)\n    return x\n"
    space = _cell(text)
    with pytest.raises(ExtractionError, match="does not return"):
        extract(space["f"], _span(text, "ops.exp(x)", "<ipython-input-7-abc>"), None, {"x": _X})


def test_a_function_that_the_library_lacks_is_not_written():
    text = "from keras import ops\ndef f(x):\n    return ops.log(1.0 + ops.exp(x))\n"
    space = _cell(text)
    span = _span(text, "ops.exp(x)", "<ipython-input-7-abc>")
    extraction = extract(space["f"], span, None, {"x": _X})
    [leaf] = extraction.leaves
    with pytest.raises(CannotWriteError, match="log_ndtr"):
        write(extraction, node("log_ndtr", leaf))


def test_a_formula_of_a_long_loop_is_not_written_out():
    text = "from keras import ops\ndef f(x):\n    return ops.exp(x)\n"
    space = _cell(text)
    span = _span(text, "ops.exp(x)", "<ipython-input-7-abc>")
    extraction = extract(space["f"], span, None, {"x": _X})
    [leaf] = extraction.leaves
    total = leaf
    for number in range(500):
        total = node("tanh", node("add", total, constant(float(number))))
    with pytest.raises(CannotWriteError, match="too many operations"):
        write(extraction, total)


_CLASSES = """
import dataclasses
from keras import ops

class Stake:
    def share(self, z):
        return 1.0 + ops.exp(z)

    def f(self, z):
        return ops.log(self.share(z))

@dataclasses.dataclass
class Scaled:
    scale: float
    z: object

    def log(self):
        return ops.log(1.0 + ops.exp(self.scale * self.z))

class Called:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, z):
        return ops.log(1.0 + ops.exp(self.scale * z))

def g(z):
    return Scaled(2.0, z).log()

def h(z):
    return Called(2.0)(z)
"""


@pytest.mark.parametrize("name", ["f", "g", "h"])
def test_an_object_that_is_made_in_the_formula_is_looked_into(name):
    space = _cell(_CLASSES)
    function = space["Stake"].f if name == "f" else space[name]
    expression = {"f": "ops.exp(z)", "g": "ops.exp(self.scale * self.z)"}.get(
        name, "ops.exp(self.scale * z)"
    )
    extraction = extract(
        function, _span(_CLASSES, expression, "<ipython-input-7-abc>"), None, {"z": _X}
    )
    written = write(extraction, _softplus(extraction))
    changed = set(written.edit.apply().split("\n")) - set(_CLASSES.split("\n"))
    assert len(changed) == 1 and "ops.softplus(" in changed.pop()
