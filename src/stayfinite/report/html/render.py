"""The templates of a report, filled in."""

from __future__ import annotations

from stayfinite.incident import Incident
from stayfinite.pages.rendering import environment
from stayfinite.report.html.view import view_of

_PACKAGE = "stayfinite.report.html"


def fragment(incident: Incident) -> str:
    """The report as a piece of HTML, for the output of a notebook cell.

    It brings its own style, whose class names begin with `sf-`, and the script of its copy
    buttons. It loads nothing.

    Args:
        incident: The explained step.

    Returns:
        One `div` element.
    """
    template = environment(_PACKAGE).get_template("fragment.html.jinja")
    return template.render(view=view_of(incident))


def page(incident: Incident) -> str:
    """The report as a page in one file.

    Args:
        incident: The explained step.

    Returns:
        A document without references to other files.
    """
    template = environment(_PACKAGE).get_template("report.html.jinja")
    return template.render(view=view_of(incident))
