"""Lines and reports for the user on standard error."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import Any

from stayfinite.incident import Incident

COLUMNS = 100


def say(text: str) -> None:
    """Print `text` on standard error, unless the program has closed it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(text.rstrip("\n"), file=sys.stderr, flush=True)


def is_terminal(stream: Any) -> bool:
    """Whether `stream` is a terminal; False for None and for a closed stream."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # None, or closed
        return False


def report_for(stream: Any, incident: Incident) -> str:
    """Render the report of `incident` for `stream`: on a terminal in colour, at its width."""
    # Imported here, because a run that stays finite does not need the renderer.
    from stayfinite.report import lines, text

    columns = COLUMNS
    if is_terminal(stream):
        columns = min(COLUMNS, shutil.get_terminal_size((COLUMNS, 24)).columns)
    return text.render(incident, width=columns, color=lines.wants_color(stream, os.environ))
