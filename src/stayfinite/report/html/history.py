"""The steps before the failing one: lines over a common time axis, and heat maps of the layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stayfinite.experiments.recent_steps import RecentSteps, StepMeasure
from stayfinite.pages import charts
from stayfinite.report.figures import Figures
from stayfinite.report.lines import clip
from stayfinite.report.words import number

# Steps on the time axis; earlier losses are hardly related to the failure.
MAX_STEPS = 200
MAX_LAYERS = 200
_NAME = 200  # characters of the path of a layer


@dataclass(frozen=True)
class Panel:
    """One quantity over the steps: a line, or dots where only a few steps are known."""

    title: str
    summary: str
    line: str
    dots: str
    mark: str
    high: str
    low: str


@dataclass(frozen=True)
class Timeline:
    """Panels over one axis of steps."""

    panels: tuple[Panel, ...]
    first: int
    last: int
    about: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """A number of a heat map, and the name of its shade."""

    text: str
    shade: str


@dataclass(frozen=True)
class HeatMap:
    """Norms with a row for each layer and a column for each step; the failing step is the last."""

    title: str
    steps: tuple[int, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    more_rows: int


@dataclass(frozen=True)
class LayerMaps:
    """The heat maps, and how their steps were run."""

    maps: tuple[HeatMap, ...]
    about: str


_IN_SEQUENCE = (
    "These steps were run again from a kept state, each on the state after the one before it."
)
_ON_SAME_WEIGHTS = (
    "Each batch was run on the state before the failing step, so the columns differ by the batch "
    "alone."
)


def timeline_of(figures: Figures, bad_step: int, *, of_keras: bool = True) -> Timeline | None:
    """The lines before `bad_step`; None where no step before it is known.

    Args:
        figures: What was kept, and what was run again.
        bad_step: The failing step.
        of_keras: Whether the kept losses are those in the logs of Keras, not those of each step.
    """
    recent = figures.recent
    first = max(bad_step - MAX_STEPS, 0)
    logged = [(each.step, each.loss) for each in figures.losses if first <= each.step < bad_step]
    measured = [] if recent is None else [(float(s.step), s.loss) for s in recent.steps]
    in_sequence = recent is not None and recent.in_sequence
    exact = in_sequence and (not logged or measured[0][0] <= logged[0][0])
    about = []
    losses: list[charts.Point] = measured if exact else [(float(s), loss) for s, loss in logged]
    if not exact and logged and of_keras:
        about.append("Loss: as the logs of Keras have it, the mean of the epoch so far.")
    gradients = [] if recent is None else [(float(s.step), _total(s)) for s in recent.steps]
    if gradients and not in_sequence:
        about.append("Gradient norm: of each kept batch on the weights before the failing step.")
    known = [x for x, _ in (*losses, *gradients)]
    if not known or min(known) >= bad_step:
        return None
    across = charts.Axis(min(known), float(bad_step))
    rates = [(float(step), rate) for step, rate in figures.rates if across.low <= step <= bad_step]
    if recent is not None and not rates and in_sequence:
        rates = [(float(s.step), s.learning_rate) for s in recent.steps if s.learning_rate]
    named = (("loss", losses), ("gradient norm", gradients), ("learning rate", rates))
    found = [_panel(name, points, across, bad_step) for name, points in named]
    panels = tuple(panel for panel in found if panel is not None)
    if recent is not None and not rates and recent.steps[-1].learning_rate is not None:
        rate = number(recent.steps[-1].learning_rate)
        about.append(f"Learning rate of the failing step: {rate}.")
    return Timeline(panels, int(across.low), bad_step, tuple(about)) if panels else None


def _panel(
    name: str, points: Sequence[charts.Point], across: charts.Axis, bad_step: int
) -> Panel | None:
    up = charts.axis_of(y for _, y in points)
    if up is None or len(points) < 2:
        return None
    low, high = number(up.low), number(up.high)
    scale = ", logarithmic" if up.is_log else ""
    first, last = (int(points[i][0]) for i in (0, -1))
    return Panel(
        title=f"{name}{scale}",
        summary=f"{name} of steps {first} to {last}: between {low} and {high}",
        line=charts.line(points, across, up),
        dots=charts.dots(points, across, up) if len(points) <= 20 else "",
        mark=charts.upright(bad_step, across),
        high=high,
        low=low if low != high else "",
    )


def _total(step: StepMeasure) -> float:
    """The L2 norm of the gradients of all layers."""
    return math.hypot(*step.gradients.values())


def layer_maps_of(recent: RecentSteps | None) -> LayerMaps | None:
    """Gradients and updates of each layer; None where nothing was measured."""
    if recent is None or not recent.steps:
        return None
    maps = (
        _heat_map("Gradient norm", recent.steps, lambda step: step.gradients),
        _heat_map("Update norm", recent.steps, lambda step: step.updates),
    )
    about = _IN_SEQUENCE if recent.in_sequence else _ON_SAME_WEIGHTS
    found = tuple(each for each in maps if each.rows)
    return LayerMaps(found, about if len(recent.steps) > 1 else "") if found else None


def _heat_map(
    title: str, steps: Sequence[StepMeasure], norms: Callable[[StepMeasure], Mapping[str, float]]
) -> HeatMap:
    layers = list(norms(steps[-1]))
    shown = layers[:MAX_LAYERS]
    table = [[norms(step).get(layer, math.nan) for step in steps] for layer in shown]
    scale = charts.shades_of(value for row in table for value in row)
    rows = (
        (clip(layer, _NAME), tuple(_cells(row, scale)))
        for layer, row in zip(shown, table, strict=True)
    )
    numbers = tuple(step.step for step in steps)
    return HeatMap(title, numbers, tuple(rows), len(layers) - len(shown))


def _cells(row: Sequence[float], scale: charts.Axis | None) -> Iterator[Cell]:
    for value in row:
        yield Cell(_short(value), charts.shade(value, scale))


def _short(value: float) -> str:
    """Two significant digits, which fit a narrow column."""
    return f"{value:.2g}" if math.isfinite(value) else str(value)
