"""Functions that IPython has reloaded, at their lines in the file."""

from __future__ import annotations

import importlib
import inspect
import sys

import pytest

from stayfinite.graph.source import expression_text, span_at

reloader = pytest.importorskip("IPython.extensions.deduperreload.deduperreload")

BEFORE = """\
def loss(x):
    return x


class Net:
    def call(self, x):
        return x
"""
AFTER = """\
# a comment
def loss(x):
    y = 2 * x  # another

    return sum(
        [y, abs(x)],
    )


class Net:
    # a third
    def call(self, x):
        '''Text.'''

        return max(map(lambda v: abs(v),
                       x))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "reloaded_here.py"
    file.write_text(BEFORE, encoding="utf-8")
    found = importlib.import_module(file.stem)
    reloading = reloader.DeduperReloader()
    reloading.update_sources()
    file.write_text(AFTER, encoding="utf-8")
    assert reloading.maybe_reload_module(found)
    yield found
    del sys.modules[file.stem]


def spans_of(code):
    instructions = range(0, len(code.co_code), 2)
    return {
        (s.line, expression_text(s), s.function) for s in (span_at(code, i) for i in instructions)
    }


def test_a_reloaded_function_is_at_its_lines_in_the_file(module):
    spans = spans_of(module.loss.__code__)
    assert (6, "abs(x)", "loss") in spans
    assert (5, "sum( [y, abs(x)], )", "loss") in spans


def test_so_is_a_method_and_a_lambda_in_it(module):
    code = module.Net.call.__code__
    (inner,) = [each for each in code.co_consts if inspect.iscode(each)]
    assert (15, "max(map(lambda v: abs(v), x))", "Net.call") in spans_of(code)
    assert (15, "abs(v)", "Net.call.<locals>.<lambda>") in spans_of(inner)
