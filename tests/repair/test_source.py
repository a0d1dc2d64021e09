import ast

import pytest

from stayfinite.repair import SourceFile, TextSpan


def calls(source):
    return [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_positions_survive_every_newline_and_unicode(newline):
    text = newline.join(["# größe", "größe, 文 = 1, '👩‍👧'; y = f(größe)", "z = g(文)", ""])
    source = SourceFile("t.py", text)
    assert [source.text_of(node) for node in calls(source)] == ["f(größe)", "g(文)"]
    for node in calls(source):
        span = source.span(*source.range_of(node))
        assert span == TextSpan(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
    assert source.newline == newline


@pytest.mark.parametrize("separator", ["\f", "\v", "\x1c", "\u2028", "\x85"])
def test_only_real_newlines_count(separator):
    source = SourceFile("t.py", f"s = '{separator}'\ny = f(s)\n")
    assert source.text_of(calls(source)[0]) == "f(s)"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"\xef\xbb\xbfx = '\xc3\xa4'\n", "utf-8-sig"),
        (b"# -*- coding: latin-1 -*-\r\nx = '\xe4'", "iso-8859-1"),
        ("x = 'ä'\r\n".encode(), "utf-8"),
    ],
)
def test_bytes_come_back_as_they_were(tmp_path, data, encoding):
    (tmp_path / "t.py").write_bytes(data)
    source = SourceFile.read(tmp_path / "t.py")
    assert source.encoding == encoding
    assert "'ä'" in source.text
    assert source.text.encode(source.encoding) == data


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("f(a + b)", "a + b"),
        ("f((a + b))", "(a + b)"),
        ("f(( (a + b\n) ))", "( (a + b\n) )"),
        ("c * (a + b)", "(a + b)"),
        ("f(c)(a + b)", "a + b"),
        ("f[0](a + b)", "a + b"),
        ("c if (a + b) else d", "(a + b)"),
        ("c and not(a + b)", "(a + b)"),
        ("[(a + b), c]", "(a + b)"),
        ("(a + b, c)", "a + b"),
        ("lambda: (a + b)", "(a + b)"),
    ],
)
def test_grouping_parentheses_are_told_from_those_of_a_call(text, grouped):
    source = SourceFile("t.py", f"x = {text}\n")
    node = next(
        n for n in ast.walk(source.tree) if isinstance(n, ast.BinOp) and n.op.__class__ is ast.Add
    )
    start, end = source.grouped_range(node)
    assert source.text[start:end] == grouped


def test_a_position_outside_the_file_is_an_error():
    source = SourceFile("t.py", "x = 1\n")
    with pytest.raises(ValueError, match="line 9"):
        source.index(9, 0)
    with pytest.raises(ValueError):
        SourceFile("t.py", "ä = 1\n").index(1, 1)
