"""The report of an incident in a cell of a notebook: one line."""

from __future__ import annotations

from stayfinite.incident import Incident
from stayfinite.pages.clean import clean
from stayfinite.report.sentences import place

_LONGEST_PLACE = 200


def one_line(incident: Incident) -> str:
    """`NonFiniteError: the gradient of `sqrt` is infinite at 0 (Cell In [3], line 2 in loss)`."""
    message = f"NonFiniteError: {incident.cause.message} ({place(incident, _LONGEST_PLACE)})"
    return " ".join(clean(message).split())
