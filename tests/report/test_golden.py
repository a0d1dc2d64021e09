"""Each golden file is a report that was read as prose and found good."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from stayfinite.report import text

from .incidents import CASES, SQRT

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", CASES)
def test_report_is_the_golden_one(name):
    expected = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert text.render(CASES[name]) + "\n" == expected


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


def test_page_shows_the_report_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    assert f"```text\n{text.render(SQRT)}\n```" in page


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.txt")), ids=lambda path: path.stem)
def test_golden_file_fits_the_terminal(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 24
    assert max(map(cell_len, lines)) <= 100


@pytest.mark.parametrize("name", CASES)
def test_message_says_and_only_help_advises(name):
    message = CASES[name].cause.message
    assert not message.endswith(".")
    assert message[0].islower() or not message[0].isalpha()


@pytest.mark.parametrize("name", CASES)
def test_colour_changes_nothing_but_escape_codes(name):
    coloured = text.render(CASES[name], color=True)
    assert "\x1b[1;31merror[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text.render(CASES[name])


def test_added_and_removed_lines_have_their_colours():
    coloured = text.render(SQRT, color=True)
    assert "\x1b[31m-     positive" in coloured
    assert "\x1b[32m+     positive" in coloured
    assert "\x1b[32mhelp:" in coloured
    assert "\x1b[34m14 | " in coloured
