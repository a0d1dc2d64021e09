"""Expressions as the user wrote them, also over several lines and beside non-ASCII text."""

from __future__ import annotations

import ast
import importlib.util
import linecache
import sys

import pytest

from stayfinite.graph.code_owner import is_user_file
from stayfinite.graph.graph import Span
from stayfinite.graph.literals import numbers_in
from stayfinite.graph.source import (
    callee,
    code_of,
    expression_text,
    node_at,
    source_line,
    span_at,
    span_of,
    user_spans,
)

TEXT = """\
def loss(y, p):
    größe = K.sqrt(y); höhe = K.norm(p)
    return mean(
        (y - p)
        / p,
        axis=0,
    )
"""


@pytest.fixture
def span(tmp_path):
    """Finds the span of an expression of `TEXT` by what it unparses to."""
    path = tmp_path / "loss.py"
    path.write_text(TEXT, encoding="utf-8")
    tree = ast.parse(TEXT)

    def find(text):
        node = next(n for n in ast.walk(tree) if isinstance(n, ast.expr) and ast.unparse(n) == text)
        place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
        return Span(str(path), *place, "loss")

    return find


@pytest.mark.parametrize("text", ["K.sqrt(y)", "K.norm(p)", "y - p"])
def test_expression_on_one_line(span, text):
    assert expression_text(span(text)) == text


def test_expression_over_several_lines_is_put_on_one(span):
    assert expression_text(span("(y - p) / p")) == "(y - p) / p"
    assert expression_text(span("mean((y - p) / p, axis=0)")) == "mean( (y - p) / p, axis=0, )"


@pytest.mark.parametrize(
    ("text", "name"),
    [("K.norm(p)", "norm"), ("mean((y - p) / p, axis=0)", "mean"), ("y - p", None)],
)
def test_callee(span, text, name):
    assert callee(span(text)) == name


def test_source_line_keeps_its_indentation(span):
    assert source_line(span("K.norm(p)")) == TEXT.splitlines()[1]


def test_no_source():
    nowhere = Span("<string>", 1, 0, 1, 5, "f")
    assert (expression_text(nowhere), source_line(nowhere), callee(nowhere)) == (None,) * 3


def test_span_of_a_running_frame():
    def caller():
        return sys._getframe(0).f_code, [sys._getframe(0).f_lasti][0]

    code, instruction = caller()
    found = span_at(code, instruction)
    assert found.function.endswith("caller")
    assert expression_text(found) == "sys._getframe(0).f_lasti"
    assert found.code is code


def test_user_files():
    import keras

    import stayfinite

    assert is_user_file(__file__)
    assert not is_user_file(keras.__file__)
    assert not is_user_file(stayfinite.__file__)
    assert not is_user_file(ast.__file__)
    assert not is_user_file("<frozen importlib>")


def test_a_framework_outside_the_folder_of_packages(tmp_path, monkeypatch):
    (tmp_path / "jaxlib").mkdir()
    file = tmp_path / "jaxlib" / "__init__.py"
    file.touch()
    spec = importlib.util.spec_from_file_location("jaxlib", file)
    monkeypatch.setitem(sys.modules, "jaxlib", importlib.util.module_from_spec(spec))
    assert not is_user_file(str(file))
    assert is_user_file(str(tmp_path / "train.py"))


TYPED = """\
eps = 1e-7
def loss(x):
    frame = sys._getframe()
    return norm(x, frame, frame.f_lasti, 0.5) + eps
"""


@pytest.fixture
def typed(request):
    """Runs `TYPED` as an interpreter runs a cell, and returns its frame."""
    name = request.param
    linecache.cache[name] = (len(TYPED), None, TYPED.splitlines(keepends=True), name)
    called = []
    names = {"sys": sys, "norm": lambda x, frame, at, half: called.append((frame, at)) or 1.0}
    exec(compile(TYPED, name, "exec"), names)
    names["loss"](2.0)
    (frame, at) = called[0]
    yield frame.f_code, at
    linecache.cache.pop(name, None)


NAMES = [
    "<ipython-input-3-0a1b>",
    "<stdin>",
    "<string>",
    "<python-input-0>",
    "/tmp/ipykernel_7/8.py",
]


@pytest.mark.parametrize("typed", NAMES, indirect=True)
def test_source_without_a_file(typed):
    code = typed[0]
    (found,) = user_spans([typed])
    assert (found.file, found.line) == (code.co_filename, 4)
    assert expression_text(found) == "frame.f_lasti"
    assert source_line(found) == TEXT_OF_RETURN
    returned = span_of(code)
    assert expression_text(returned) == "norm(x, frame, frame.f_lasti, 0.5) + eps"
    assert sorted(numbers_in(returned)) == [1e-7, 0.5]


TEXT_OF_RETURN = TYPED.splitlines()[3]


def test_typed_code_has_a_place_without_its_text():
    # `python -i` before Python 3.13, and `python - < script`.
    code = compile("y = 2\nx = y + 1", "<stdin>", "exec")
    at = 2 * [line for line, *_ in code.co_positions()].index(2)
    (found,) = user_spans([(code, at)])
    assert (found.file, found.line) == ("<stdin>", 2)
    assert (expression_text(found), source_line(found)) == (None, None)


def test_code_in_brackets_without_lines_is_no_user_code():
    assert not is_user_file("<string>")
    linecache.cache["<attrs generated init x>"] = (1, None, ["x\n"], "<attrs generated init x>")
    try:
        assert not is_user_file("<attrs generated init x>")
    finally:
        del linecache.cache["<attrs generated init x>"]


def test_two_lambdas_on_one_line_are_told_apart():
    pair = (lambda x: x + 1, lambda x: x * 2)
    assert [expression_text(span_of(code_of(each))) for each in pair] == ["x + 1", "x * 2"]


def test_node_of_a_method_call_over_several_lines(tmp_path):
    path = tmp_path / "chain.py"
    text = "def f(x):\n    return (\n        x.first(1)\n        .second(2)\n    )\n"
    path.write_text(text, encoding="utf-8")
    names = {}
    exec(compile(text, str(path), "exec"), names)
    spans = {
        span_at(names["f"].__code__, 2 * n) for n in range(len(names["f"].__code__.co_code) // 2)
    }
    calls = [node_at(s) for s in spans if callee(s) == "second"]
    assert calls
    assert {ast.unparse(node) for node in calls} == {"x.first(1).second(2)"}


def test_a_relative_name_after_the_working_directory_is_deleted(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert is_user_file("deleted_while_training.py")
