"""Which line of plain Python made the first non-finite number."""

from __future__ import annotations

import inspect

import numpy as np

from stayfinite.diagnose.line_watch import first_bad_line
from stayfinite.graph.graph import Span
from stayfinite.graph.source import keyword_span, span_of


def initialise(shape):
    fan = np.float32(shape[0])
    with np.errstate(divide="ignore"):
        scale = 1.0 / (fan - 1)  # line 3 of the function
    return scale * np.ones(shape)


def returned(shape):
    return float("inf") * shape[0]


def lines_of(function):
    return inspect.getsourcelines(function)[1]


def test_line_of_the_first_bad_variable():
    found = first_bad_line(lambda: initialise((1, 2)))
    assert found.line == lines_of(initialise) + 3
    assert found.function == "initialise"


def test_line_of_a_bad_result():
    assert first_bad_line(lambda: returned((1,))).line == lines_of(returned) + 1


def test_none_where_all_is_finite_or_it_raises():
    assert first_bad_line(lambda: initialise((3, 2))) is None
    assert first_bad_line(lambda: initialise(())) is None


def test_place_of_a_function():
    assert span_of(returned.__code__).line == lines_of(returned) + 1
    assert span_of(np.mean.__code__ if hasattr(np.mean, "__code__") else sorted_code()) is None


def sorted_code():
    return inspect.unwrap(np.average).__code__


def test_argument_of_a_call_by_its_name(tmp_path):
    file = tmp_path / "made.py"
    file.write_text("adam = Adam(\n    1e-3,\n    epsilon=0.0,\n)\n", encoding="utf-8")
    call = Span(str(file), 1, 7, 4, 1, "<module>")
    found = keyword_span(call, "epsilon")
    assert (found.line, found.column, found.end_line, found.end_column) == (3, 4, 3, 15)
    assert keyword_span(call, "beta_1") is None
