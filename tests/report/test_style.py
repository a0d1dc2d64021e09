"""When a report is coloured."""

from __future__ import annotations

import io

import pytest

from stayfinite.report.lines import wants_color


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "0"}, False),
        ({"NO_COLOR": ""}, True),
    ],
)
def test_terminal_is_coloured_unless_it_refuses(environ, expected):
    assert wants_color(Terminal(), environ) is expected


def test_nothing_but_a_terminal_is_coloured():
    closed = Terminal()
    closed.close()
    assert not wants_color(io.StringIO(), {})
    assert not wants_color(None, {})
    assert not wants_color(io.StringIO(), {"FORCE_COLOR": "1"})
    closed_file = io.StringIO()
    closed_file.close()
    assert not wants_color(closed_file, {})
