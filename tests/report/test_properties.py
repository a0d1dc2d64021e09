"""What must hold for every incident, also for one that a stranger wrote."""

from __future__ import annotations

import dataclasses
import json
import unicodedata

import pytest
from rich.cells import cell_len

from stayfinite.incident import Fix, Incident, Kept
from stayfinite.report import json as json_report
from stayfinite.report import text

from .incidents import CASES
from .random_incidents import random_incident

UNICODE = CASES["unicode-tabs-unverified"]
SEEDS = range(200)


@pytest.mark.parametrize("width", (40, 80, 100, 200))
def test_never_more_than_24_lines_nor_wider_than_the_terminal(width):
    for seed in SEEDS:
        lines = text.render(random_incident(seed), width=width).split("\n")
        assert len(lines) <= 24, seed
        assert max(map(cell_len, lines)) <= width, seed


@pytest.mark.parametrize("width", (1, 40, 41, 60, 100))
@pytest.mark.parametrize("word", ("x" * 5000, "文" * 5000, "word " * 1000, "e\u0301" * 3000))
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


def test_no_character_that_a_terminal_obeys():
    for seed in SEEDS:
        report = text.render(random_incident(seed))
        report.encode("utf-8")
        found = {c for c in report if unicodedata.category(c) in ("Cc", "Zl", "Zp")}
        assert found <= {"\n"}, seed
        assert "\u202e" not in report


def test_essential_lines_are_never_dropped():
    for seed in SEEDS:
        incident = random_incident(seed)
        lines = text.render(incident).split("\n")
        assert lines[0].startswith(f"error[{incident.cause.name}]: "), seed
        assert any(line.lstrip().startswith("--> ") for line in lines[1:4]), seed
        assert any(line.startswith("help: ") for line in lines), seed
        assert any(line.startswith("read: stayfinite rule ") for line in lines), seed
        if incident.fix is not None:
            verified = "(verified: " in " ".join(line.strip() for line in lines)
            assert verified == incident.fix.verified, seed


def test_json_comes_back_equal():
    for seed in SEEDS:
        incident = random_incident(seed)
        written = json_report.render(incident).encode("utf-8")
        read = json.loads(written, parse_constant=pytest.fail)
        assert Incident.from_json(read) == incident, seed
