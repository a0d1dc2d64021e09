"""Expressions as the user wrote them, also over several lines and beside non-ASCII text."""

from __future__ import annotations

import ast
import sys

import pytest

from stayfinite.graph.frames import is_user_file, span_at
from stayfinite.graph.graph import Span
from stayfinite.graph.source_text import callee, expression_text, source_line

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
