"""Which statements of a program write a setting into the groups of an optimizer."""

from __future__ import annotations

import linecache

import pytest

from stayfinite.repair import lines_that_set

SETS = [
    "for group in optimizer.param_groups:\n    group['lr'] = 0.1 * step",
    "for number, group in enumerate(self.optimizer.param_groups):\n    group['lr'] *= 1.5",
    "optimizer.param_groups[0]['lr'] = rate",
    "group, *_ = optimizer.param_groups\ngroup['lr'] = rate",
]
SETS_NOT = [
    "options['lr'] = 0.1",
    "for group in optimizer.param_groups:\n    group['weight_decay'] = 0.0",
    "for group in optimizer.param_groups:\n    rates.append(group['lr'])",
    "for group in optimizer.param_groups:\n    options['lr'] = group['lr']",
]


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """The lines of a file of the user with `code` in the function `warm`, and their functions."""

    def found(code):
        path = tmp_path / "train.py"
        body = "".join(f"    {line}\n" for line in code.splitlines())
        path.write_text(f"def warm(self, optimizer, step, rate, options, rates):\n{body}")
        monkeypatch.setattr(linecache, "cache", {})
        linecache.getlines(str(path))
        return [
            (span.line, span.function) for span in lines_that_set("lr") if span.file == str(path)
        ]

    return found


@pytest.mark.parametrize("code", SETS)
def test_a_line_that_sets_is_found(code, lines):
    assert lines(code) == [(1 + len(code.splitlines()), "warm")]


@pytest.mark.parametrize("code", SETS_NOT)
def test_other_lines_are_not(code, lines):
    assert lines(code) == []
