"""The line that changes while a user waits: on a terminal, and nowhere else."""

from __future__ import annotations

import io
import time

import pytest

from stayfinite import live_line
from stayfinite.live_line import LiveLine
from stayfinite.report.wording.progress import ExplanationStage, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(live_line, "_SECONDS", 0.001)
    monkeypatch.setenv("TERM", "xterm")


def shown_while_waiting(stream, text=lambda width: "working"):
    with LiveLine(stream, text):
        until = time.monotonic() + 5
        while stream.isatty() and not stream.getvalue() and time.monotonic() < until:
            time.sleep(0.001)
    return stream.getvalue()


def test_line_on_a_terminal_is_gone_in_the_end():
    shown = shown_while_waiting(Terminal())
    assert shown.startswith("\nworking")
    assert shown.endswith("\r       \r")


def test_a_long_line_is_cut_at_the_width_of_the_terminal():
    widths = []
    shown = shown_while_waiting(Terminal(), lambda width: widths.append(width) or "x" * 500)
    assert shown.startswith("\n" + "x" * widths[0] + "\r")
    assert widths[0] == 79


def test_nothing_where_no_line_can_be_overwritten(monkeypatch):
    assert shown_while_waiting(io.StringIO()) == ""
    with LiveLine(None, lambda width: "working"):
        pass
    closed = Terminal()
    closed.close()
    with LiveLine(closed, lambda width: "working"):
        pass
    monkeypatch.setenv("TERM", "dumb")
    assert shown_while_waiting(io.StringIO()) == ""


def test_a_line_that_is_too_long_for_its_hint_has_none():
    line = progress(ExplanationStage.FIX, 1, 12.3, 100)
    assert line.startswith("stayfinite: 12 s, 1 run: trying fixes of the source (Ctrl-C ")
    short = progress(ExplanationStage.FIX, 1, 12.3, 40)
    assert short == "stayfinite: 12 s, 1 run: trying fixes of the source"
