"""The page and the fragment: nothing of a user's text is markup, and nothing is loaded."""

from __future__ import annotations

import dataclasses
import html.parser
import re
import unicodedata

import pytest
from hypothesis import given, settings

from stayfinite.incident import Fix, Incident, Trial
from stayfinite.report.html import fragment, page

from .incidents import CASES, SQRT
from .strange_incidents import incidents

MAX_BYTES = 2 * 2**20
VOID = {"meta", "img", "path", "rect", "br"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31m\u202e{{ 7 * 7 }}"


class Tags(html.parser.HTMLParser):
    """Every start tag, and whether each is closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.text.append(data)


def check(text: str) -> Tags:
    """The tags of a page that is whole, below the limit, and has no reference outside itself."""
    assert len(text.encode("utf-8")) < MAX_BYTES
    assert not re.search(r"https?://|@import|url\(", text)
    assert {c for c in text if unicodedata.category(c) in ("Cc", "Zl", "Zp")} <= {"\n", "\t"}
    tags = Tags(text)
    assert [tag for tag, _ in tags.seen].count("script") == 1
    for _, attributes in tags.seen:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")
        assert {"src", "data"}.isdisjoint(attributes) or attributes["src"].startswith(
            "data:image/png;base64,"
        )
    return tags


def with_every_text(incident: Incident, text: str) -> Incident:
    """`incident` with `text` in the place of every text."""
    trial = Trial(text, "finite", text, is_fix=True, parameter=text)
    return dataclasses.replace(
        incident,
        backend=text,
        versions={text: text},
        device=text,
        script=text,
        cause=dataclasses.replace(incident.cause, name=text, message=text),
        origin=dataclasses.replace(
            incident.origin, op=text, file=text, function=text, layer=text, tensor=text
        ),
        spread=dataclasses.replace(incident.spread, loss=text, first=(text,)),
        trials=(trial,),
        fix=Fix(True, "source", text, f"--- {text}\n+++ {text}\n-{text}\n+{text}", "exact", 1.0),
        kept=dataclasses.replace(incident.kept, weights=text, incident=text),
        because=(text,),
        notes=(text,),
        source_line=text,
        arithmetic=text,
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("render", (page, fragment))
def test_complete_and_loads_nothing(name, render):
    tags = check(render(CASES[name]))
    said = "".join(tags.text)
    assert CASES[name].cause.name in said
    assert "undefined" not in said.lower()


@pytest.mark.parametrize("render", (page, fragment))
def test_text_of_a_user_is_no_markup(render):
    tags = check(render(with_every_text(SQRT, EVIL)))
    assert "img" not in {tag for tag, _ in tags.seen}
    assert "{{ 7 * 7 }}" in "".join(tags.text)


@pytest.mark.parametrize("render", (page, fragment))
def test_below_the_limit_when_every_text_is_endless(render):
    assert len(render(with_every_text(SQRT, "<" * 2**17)).encode()) < MAX_BYTES


@settings(max_examples=25)
@given(incidents)
def test_any_incident(incident):
    check(page(incident))


def test_diff_is_that_of_the_incident():
    text = page(SQRT)
    lines = re.findall(r'<span class="sf-line[^"]*">(.*?)</span>', text)
    assert html.unescape("\n".join(lines)) == SQRT.fix.diff.rstrip("\n")


def test_marks_the_called_function_of_the_line():
    assert "<u>K.sqrt</u>(K.sum(" in page(SQRT)
