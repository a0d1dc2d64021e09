"""Two loops with one text, as in two cells of a notebook."""

from __future__ import annotations

import linecache

import pytest

pytest.importorskip("torch")

from stayfinite.frameworks.source_loops import innermost_loop

TEXT = "for i in range(3):\n    print(i)\n"


def test_each_has_its_own_file(monkeypatch):
    found = []
    for name in ("<ipython-input-1-a>", "<ipython-input-2-b>"):
        monkeypatch.setitem(linecache.cache, name, (len(TEXT), None, TEXT.splitlines(True), name))
        found.append(innermost_loop(compile(TEXT, name, "exec"), 2, in_header=False))
    assert [loop.code.co_filename for loop in found] == [
        "<ipython-input-1-a>",
        "<ipython-input-2-b>",
    ]
