"""`stayfinite rule` prints the pages of the causes."""

from __future__ import annotations

import pytest

from stayfinite.cli import main
from stayfinite.diagnose.pages import pages


def test_list(capsys):
    assert main(["rule"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(pages())
    assert all(len(line.split(maxsplit=1)[1]) > 10 for line in lines)


@pytest.mark.parametrize("name", pages())
def test_page(name, capsys):
    assert main(["rule", name]) == 0
    assert capsys.readouterr().out == pages()[name].strip() + "\n"


def test_spelling_mistake(capsys):
    assert main(["rule", "singular-gradiant"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "stayfinite: 'singular-gradiant' is not the name of a cause; "
        "did you mean singular-gradient?\n"
    )


def test_nothing_like_it(capsys):
    assert main(["rule", "weather"]) == 2
    assert "for the list, run stayfinite rule" in capsys.readouterr().err
