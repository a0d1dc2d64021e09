"""The incident as HTML: a page in one file, and a piece of one for a notebook cell."""

from __future__ import annotations

from stayfinite.report.html.render import fragment, page

__all__ = ["fragment", "page"]
