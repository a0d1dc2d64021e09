"""The report of a bad step in a cell, in the place of a traceback."""

from __future__ import annotations

import sys
import weakref
from pathlib import Path

from stayfinite.errors import NonFiniteError
from stayfinite.incident import Incident
from stayfinite.report import notebook as notebook_report
from stayfinite.report import text
from stayfinite.report.folder import report_of
from stayfinite.report.html import IncidentReport, fragment_of
from stayfinite.runner.console import report_for

# The number of the cell in which an error was displayed last. IPython asks for the lines of an
# error twice: to show them, and to keep them.
_DISPLAYED: weakref.WeakKeyDictionary[NonFiniteError, int] = weakref.WeakKeyDictionary()


def html(incident: Incident) -> str:
    """The report of `incident` as HTML that a page may contain more than once."""
    folder = Path(incident.kept.incident)
    is_kept = bool(incident.kept.incident) and folder.is_dir()
    return fragment_of(report_of(folder, incident) if is_kept else IncidentReport(incident))


def traceback_lines(error: NonFiniteError) -> list[str]:
    """The lines that IPython prints for `error`.

    A notebook has the report displayed as HTML, with the text beside it for those who cannot show
    it; one line is left to print. In a terminal the lines are the report.
    """
    # IPython is at work, so this imports nothing new.
    from IPython import get_ipython
    from IPython.display import display

    shell = get_ipython()
    if shell is None or "text/html" not in shell.display_formatter.active_types:
        return report_for(sys.stdout, error.incident).split("\n")
    if _DISPLAYED.get(error) != shell.execution_count:
        _DISPLAYED[error] = shell.execution_count
        incident = error.incident
        display({"text/html": html(incident), "text/plain": text.render(incident)}, raw=True)
    return [notebook_report.one_line(error.incident)]
