"""A page of curves of trainings in several panels, with tables and pictures."""

from __future__ import annotations

import base64
import math
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from stayfinite.pages import charts
from stayfinite.pages.charts import Point
from stayfinite.pages.rendering import environment

NUM_COLOURS = 6
NUM_DASHES = 3
# So many points of a curve are drawn: more than a screen has pixels in a panel.
MAX_POINTS = 500
# Bytes of a picture on the page; a larger one is left in its file.
MAX_PICTURE = 400_000


@dataclass(frozen=True)
class Curve:
    """A quantity over steps or epochs.

    Attributes:
        label: What the legend calls it; curves of one label look the same.
        points: Position and value; a value that is not finite breaks the line.
        crosses: Positions at which the training ended with a non-finite step.
    """

    label: str
    points: Sequence[Point]
    crosses: Sequence[float] = ()


@dataclass(frozen=True)
class CurvePanel:
    """Curves over a common axis; `unit` is `step` or `epoch`."""

    title: str
    unit: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Link:
    """A cell of a table that leads to a file below the page."""

    text: str
    path: str

    @property
    def href(self) -> str:
        """The path as a relative reference; it cannot be one with a scheme."""
        return f"./{urllib.parse.quote(self.path)}"


@dataclass(frozen=True)
class DataTable:
    """A table with a heading; cells are texts or links."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Link]]


@dataclass(frozen=True)
class Picture:
    """A PNG file that is put into the page."""

    title: str
    path: Path


@dataclass(frozen=True)
class _DrawnCurve:
    style: str
    line: str
    dots: str
    crosses: str


@dataclass(frozen=True)
class _DrawnPanel:
    title: str
    summary: str
    curves: tuple[_DrawnCurve, ...]
    low: str
    high: str
    first: str
    last: str


def curves_page(
    title: str,
    about: str,
    panels: Sequence[CurvePanel],
    tables: Sequence[DataTable] = (),
    pictures: Sequence[Picture] = (),
) -> str:
    """A page in one file.

    Args:
        title: The heading.
        about: A line above it.
        panels: One without a finite value is left out.
        tables: Shown before the panels.
        pictures: Shown after them.
    """
    labels = list(dict.fromkeys(curve.label for panel in panels for curve in panel.curves))
    styles = {label: _style(number) for number, label in enumerate(labels)}
    drawn = [_draw(panel, styles) for panel in panels]
    template = environment("stayfinite.pages").get_template("curves.html.jinja")
    return template.render(
        title=title,
        about=about,
        legend=[(label, styles[label]) for label in labels],
        ended=any(curve.crosses for panel in panels for curve in panel.curves),
        panels=[panel for panel in drawn if panel is not None],
        tables=tables,
        pictures=[(picture.title, _data_url(picture.path)) for picture in pictures],
    )


def _style(number: int) -> str:
    return f"sf-c{number % NUM_COLOURS} sf-d{number // NUM_COLOURS % NUM_DASHES}"


def _draw(panel: CurvePanel, styles: dict[str, str]) -> _DrawnPanel | None:
    points = [point for curve in panel.curves for point in curve.points]
    ends = [x for curve in panel.curves for x in curve.crosses]
    up = charts.axis_of(y for _, y in points)
    across = charts.axis_of([*(x for x, _ in points), *ends])
    if up is None or across is None:
        return None
    across = charts.Axis(across.low, across.high)
    low, high, first, last = (f"{v:.4g}" for v in (up.low, up.high, across.low, across.high))
    return _DrawnPanel(
        title=panel.title + (", logarithmic" if up.is_log else ""),
        summary=f"{panel.title} of {len(panel.curves)} curves: between {low} and {high}, "
        f"{panel.unit} {first} to {last}",
        curves=tuple(_drawn(curve, styles[curve.label], across, up) for curve in panel.curves),
        low=low if low != high else "",
        high=high,
        first=f"{panel.unit} {first}",
        last=last if last != first else "",
    )


def _drawn(curve: Curve, style: str, across: charts.Axis, up: charts.Axis) -> _DrawnCurve:
    every = -(-len(curve.points) // MAX_POINTS) or 1
    points = list(curve.points[::every])
    if every > 1:
        points.append(curve.points[-1])
    finite = [y for _, y in curve.points if math.isfinite(y)]
    # At the last finite value, since a non-finite value has no place on an axis.
    crosses = [(x, finite[-1]) for x in curve.crosses] if finite else []
    return _DrawnCurve(
        style,
        charts.line(points, across, up),
        charts.dots(points, across, up) if len(points) <= 30 else "",
        charts.dots(crosses, across, up),
    )


def _data_url(path: Path) -> Markup | None:
    """The picture as the `src` of an image; None where it is missing or too large."""
    try:
        if path.stat().st_size > MAX_PICTURE:
            return None
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError:
        return None
    return Markup("data:image/png;base64,") + data
