"""The templates of a report, filled in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from stayfinite.incident import Incident
from stayfinite.pages.rendering import environment
from stayfinite.report.figures import Figures
from stayfinite.report.html.commands import Rerun
from stayfinite.report.html.history import layer_maps_of, timeline_of
from stayfinite.report.html.samples import ShownSample
from stayfinite.report.html.view import view_of

_PACKAGE = "stayfinite.report.html"
# Bytes of the reports on the page of a run; the page stays below 2 MB.
_MAX_RUN = 1_900_000


@dataclass(frozen=True)
class IncidentReport:
    """What a page shows of one incident.

    Attributes:
        incident: The explained step.
        figures: What was measured in the steps before it.
        samples: The samples at fault.
        rerun: How its step can be run again; None if it cannot.
    """

    incident: Incident
    figures: Figures = field(default_factory=Figures)
    samples: Sequence[ShownSample] = ()
    rerun: Rerun | None = None


def fragment(incident: Incident) -> str:
    """The report as a piece of HTML, for the output of a notebook cell.

    It brings its own style, whose class names begin with `sf-`, and the script of its copy
    buttons. It loads nothing.

    Args:
        incident: The explained step.

    Returns:
        One `div` element.
    """
    return fragment_of(IncidentReport(incident))


def fragment_of(report: IncidentReport) -> str:
    """As `fragment`, with the figures and samples of a report."""
    return _rendered("fragment.html.jinja", report)


def page(
    incident: Incident, figures: Figures | None = None, samples: Sequence[ShownSample] = ()
) -> str:
    """The report as a page in one file.

    Args:
        incident: The explained step.
        figures: What was measured in the steps before it.
        samples: The samples at fault.

    Returns:
        A document without references to other files.
    """
    return page_of(IncidentReport(incident, figures or Figures(), samples))


def page_of(report: IncidentReport) -> str:
    """As `page`, of the parts that belong together."""
    return _rendered("report.html.jinja", report)


def run_page(script: str, exit_code: int, num_steps: int, reports: Sequence[IncidentReport]) -> str:
    """A run as a page in one file, with the report of each of its bad steps.

    Args:
        script: The script as the user named it.
        exit_code: That of the run.
        num_steps: Training steps of all models.
        reports: In the order in which the bad steps occurred.
    """
    articles: list[Markup] = []
    for number, report in enumerate(reports, start=1):
        article = Markup(_rendered("article.html.jinja", report, number=number))
        if sum(map(len, articles)) + len(article) > _MAX_RUN:
            break
        articles.append(article)
    template = environment(_PACKAGE).get_template("run.html.jinja")
    return template.render(
        script=script,
        exit_code=exit_code,
        num_steps=num_steps,
        incidents=[report.incident for report in reports[: len(articles)]],
        articles=articles,
        more=len(reports) - len(articles),
    )


def _rendered(name: str, report: IncidentReport, number: int = 1) -> str:
    incident, figures = report.incident, report.figures
    return (
        environment(_PACKAGE)
        .get_template(name)
        .render(
            view=view_of(incident, report.rerun),
            timeline=timeline_of(
                figures, incident.where.step, of_keras="keras" in incident.versions
            ),
            layers=layer_maps_of(figures.recent),
            samples=report.samples,
            number=number,
        )
    )
