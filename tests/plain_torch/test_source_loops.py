"""Loops in source: two with one text, as in two cells of a notebook, and one on one line."""

from __future__ import annotations

import inspect
import linecache
import types

import pytest

pytest.importorskip("torch")

from stayfinite.frameworks.loop_code import LOCALS, body_code
from stayfinite.frameworks.source_loops import innermost_loop


@pytest.fixture
def code(monkeypatch):
    """Compiles a text under a file name, whose lines are known then."""

    def compiled(name, text):
        monkeypatch.setitem(linecache.cache, name, (len(text), None, text.splitlines(True), name))
        return compile(text, name, "exec")

    return compiled


def test_each_has_its_own_file(code):
    text = "for i in range(3):\n    print(i)\n"
    found = [
        innermost_loop(code(name, text), 2, in_header=False)
        for name in ("<ipython-input-1-a>", "<ipython-input-2-b>")
    ]
    assert [loop.code.co_filename for loop in found] == [
        "<ipython-input-1-a>",
        "<ipython-input-2-b>",
    ]


def test_a_loop_on_one_line_is_not_around_itself(code):
    here = code("<ipython-input-3-c>", "for i in range(2):\n    for j in range(3): print(i, j)\n")
    inner = innermost_loop(here, 2, in_header=False)
    outer = innermost_loop(here, inner.line, in_header=False, around=inner)
    assert (inner.line, outer.line) == (2, 1)
    assert innermost_loop(here, outer.line, in_header=False, around=outer) is None


def test_the_branch_of_an_update_goes_on_before_what_follows_it(code):
    text = (
        "for step in range(9):\n"
        "    total = total + state\n"
        "    if step % 3 == 2:\n"
        "        update(total)\n"
        "        total = 0.0\n"
        "    else:\n"
        "        total = total * 2\n"
        "    state = state + 1\n"
    )
    loop = innermost_loop(code("<ipython-input-4-d>", text), 4, in_header=False)
    assert [statement.lineno for statement in loop.tail(4)] == [5, 8]
    assert loop.counted == ("step", 1)
    assert (loop.is_in_branch(4), loop.is_in_branch(8)) == (True, False)


@pytest.mark.parametrize(("statement", "is_told"), [("yield i, x", True), ("y = yield x", False)])
def test_a_loop_may_yield_what_nobody_answers(code, statement, is_told):
    text = f"def train():\n    for i in range(3):\n        x = i + 1\n        {statement}\n"
    (function,) = [c for c in code("<yields>", text).co_consts if hasattr(c, "co_code")]
    assert innermost_loop(function, 3, in_header=False) is None
    loop = innermost_loop(function, 3, in_header=False, may_yield=True)
    assert (loop is not None) is is_told
    if loop is not None:
        body = body_code(loop, loop.node, ("i", LOCALS), loop.node.body)
        assert not body.co_flags & inspect.CO_GENERATOR
        assert types.FunctionType(body, {})(2, lambda: 7) == 7
