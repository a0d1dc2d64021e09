"""The incident as HTML: a page in one file, and a piece of one for a notebook cell."""

from __future__ import annotations

from stayfinite.report.html.render import (
    IncidentReport,
    fragment,
    fragment_of,
    page,
    page_of,
    run_page,
)

__all__ = ["IncidentReport", "fragment", "fragment_of", "page", "page_of", "run_page"]
