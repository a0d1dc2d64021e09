"""The numbers of the figures of a page, `figures.json` in the incident folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stayfinite.experiments.recent_steps import RecentSteps, StepMeasure
from stayfinite.files import limits
from stayfinite.files.reading import read_at_most
from stayfinite.files.writing import put_text
from stayfinite.frameworks.loss_log import LoggedLoss
from stayfinite.incident import to_json
from stayfinite.report.reading import integer

FIGURES = "figures.json"
SCHEMA = "stayfinite.figures/1"
_CHARTED_LAYERS = 50


@dataclass(frozen=True)
class Figures:
    """What was measured before a bad step. Each part may be empty.

    Attributes:
        losses: The losses in the logs of the steps before, oldest first.
        rates: Step and learning rate, by a schedule.
        recent: The failing step, and healthy ones before it, run again.
    """

    losses: tuple[LoggedLoss, ...] = ()
    rates: tuple[tuple[int, float], ...] = ()
    recent: RecentSteps | None = None


@dataclass(frozen=True)
class _StepInFile:
    """A `StepMeasure` in JSON, which has no literal for a non-finite number."""

    step: int
    loss: float | str
    learning_rate: float | str | None
    gradients: dict[str, float | str]
    updates: dict[str, float | str]


@dataclass(frozen=True)
class _RecentInFile:
    steps: tuple[_StepInFile, ...]
    in_sequence: bool


@dataclass(frozen=True)
class _LossInFile:
    step: int
    epoch: int | None
    loss: float | str


@dataclass(frozen=True)
class _FiguresInFile:
    schema: str
    losses: tuple[_LossInFile, ...] = ()
    rates: tuple[tuple[int, float | str], ...] = ()
    recent: _RecentInFile | None = None


def charts_of(figures: Figures) -> dict[str, list[tuple[int, float]]]:
    """Step and value of each point of the charts of the steps that were run again, by name.

    Those of the loss, and of the norms of the gradients and updates of the first 50 layers.
    """
    charts: dict[str, list[tuple[int, float]]] = {}
    for measure in () if figures.recent is None else figures.recent.steps:
        charts.setdefault("loss", []).append((measure.step, measure.loss))
        for kind, norms in (("gradients", measure.gradients), ("updates", measure.updates)):
            for layer, norm in list(norms.items())[:_CHARTED_LAYERS]:
                charts.setdefault(f"{kind} of {layer}", []).append((measure.step, norm))
    return charts


def write_figures(folder: Path, figures: Figures) -> None:
    """Write `figures` into a folder.

    Raises:
        OSError: they cannot be written.
    """
    text = json.dumps({"schema": SCHEMA, **to_json(figures)}, allow_nan=False)
    put_text(folder / FIGURES, text + "\n")


def read_figures(folder: Path) -> Figures:
    """Read what `write_figures` wrote; the file may be untrusted.

    Returns:
        Empty figures where the file is missing or damaged: a report is complete without them.
    """
    import msgspec

    try:
        data = json.loads(read_at_most(folder / FIGURES, limits.FIGURES), parse_int=integer)
        found = msgspec.convert(data, _FiguresInFile)
        if found.schema != SCHEMA:
            return Figures()
        return Figures(
            losses=tuple(
                LoggedLoss(each.step, each.epoch, float(each.loss)) for each in found.losses
            ),
            rates=tuple((step, float(rate)) for step, rate in found.rates),
            recent=_recent(found.recent) if found.recent and found.recent.steps else None,
        )
    except (OSError, ValueError, OverflowError, RecursionError):
        return Figures()


def _recent(found: _RecentInFile) -> RecentSteps:
    return RecentSteps(
        tuple(
            StepMeasure(
                each.step,
                float(each.loss),
                None if each.learning_rate is None else float(each.learning_rate),
                _numbers(each.gradients),
                _numbers(each.updates),
            )
            for each in found.steps
        ),
        found.in_sequence,
    )


def _numbers(found: Mapping[str, float | str]) -> dict[str, float]:
    return {name: float(number) for name, number in found.items()}
