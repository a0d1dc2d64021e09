"""Talking to the user on standard error, without getting into the program's way."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import Any

from stayfinite.incident import Incident

COLUMNS = 100


def say(text: str) -> None:
    """Print `text` on standard error, if the program has left one open."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(text.rstrip("\n"), file=sys.stderr, flush=True)


def is_terminal(stream: Any) -> bool:
    """Whether a person reads `stream` as it is written."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # no stream at all, or one already closed
        return False


def report_for(stream: Any, incident: Incident) -> str:
    """The report of `incident` as `stream` can show it: colour and its width on a terminal."""
    # Loaded here: a run that stays finite never pays for the renderer.
    from stayfinite.report import lines, text

    columns = COLUMNS
    if is_terminal(stream):
        columns = min(COLUMNS, shutil.get_terminal_size((COLUMNS, 24)).columns)
    return text.render(incident, width=columns, color=lines.wants_color(stream, os.environ))
