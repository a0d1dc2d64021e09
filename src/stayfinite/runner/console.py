"""Lines and reports for the user, on streams of any encoding."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from stayfinite.incident import Incident

COLUMNS = 100


def say(text: str) -> None:
    """Print `text` on standard error, unless the program has closed it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(encodable(text.rstrip("\n"), sys.stderr), file=sys.stderr, flush=True)


def say_line(text: str) -> None:
    """Print one line of our own."""
    say(f"stayfinite: {text}")


def encodable(text: str, stream: TextIO | None) -> str:
    """`text` as `stream` can print it: as wide, with `?` for what its encoding does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # Imported here, because a run that stays finite does not need it.
        from rich.cells import cell_len

        def printed(char: str) -> str:
            has_it = char.encode(encoding, "ignore") != b""
            return char if has_it else "?" * cell_len(char)

        return "".join(map(printed, text))
    return text


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


def say_repairs(incidents: Sequence[Incident]) -> None:
    """Print the source fixes that the run went on with, once more at its end."""
    made = [i.intervention for i in incidents if i.intervention is not None]
    if not made:
        return
    # Imported here, because a run that stays finite does not need it.
    from stayfinite.report.wording import interventions

    repairs = interventions.repairs(made)
    if repairs:
        say_line(repairs)
