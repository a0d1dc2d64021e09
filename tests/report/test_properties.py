"""What must hold for every incident, also for one that a stranger wrote."""

from __future__ import annotations

import dataclasses
import json
import unicodedata

import pytest
from hypothesis import given
from rich.cells import cell_len

from stayfinite.incident import Fix, Incident, Kept
from stayfinite.report import json as json_report
from stayfinite.report import text

from .incidents import CASES
from .strange_incidents import incidents

UNICODE = CASES["unicode-tabs-unverified"]


@given(incidents)
def test_never_more_than_24_lines_nor_wider_than_the_terminal(incident):
    for width in (40, 80, 100, 200):
        lines = text.render(incident, width=width).split("\n")
        assert len(lines) <= 24
        assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", (1, 40, 41, 60, 100))
@pytest.mark.parametrize("word", ("x" * 3000, "文" * 1500, "word " * 600, "e\u0301" * 3000))
def test_budget_holds_when_every_text_is_endless(word, width):
    origin = dataclasses.replace(
        UNICODE.origin, op=word, file=word, function=word, layer=word, tensor=word
    )
    incident = dataclasses.replace(
        UNICODE,
        cause=dataclasses.replace(UNICODE.cause, name=word, message=word),
        origin=origin,
        fix=Fix(False, "source", word, f"-{word}\n+{word}\n+{word}"),
        kept=Kept(word, 5, word),
        because=(word, word),
        arithmetic=word,
        source_line=word,
    )
    lines = text.render(incident, width=width).split("\n")
    assert len(lines) <= 24
    assert max(map(cell_len, lines)) <= max(width, 40)


@given(incidents)
def test_no_character_that_a_terminal_obeys(incident):
    report = text.render(incident)
    report.encode("utf-8")
    found = {c for c in report if unicodedata.category(c) in ("Cc", "Zl", "Zp")}
    assert found <= {"\n"}
    assert "\u202e" not in report


@given(incidents)
def test_essential_lines_are_never_dropped(incident):
    lines = text.render(incident).split("\n")
    assert lines[0].startswith(f"error[{incident.cause.name}]:")
    assert any(line.lstrip().startswith("--> ") for line in lines[1:4])
    assert any(line.startswith("help: ") for line in lines)
    assert any(line.startswith("read: stayfinite rule ") for line in lines)
    if incident.fix is not None:
        verified = "(verified: " in " ".join(line.strip() for line in lines)
        assert verified == incident.fix.verified


@given(incidents)
def test_json_comes_back_equal(incident):
    written = json_report.render(incident).encode("utf-8")
    read = json.loads(written, parse_constant=pytest.fail)
    assert Incident.from_json(read) == incident
