"""What a page of an incident shows, in the order of its sections; the templates only lay it out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from stayfinite.incident import Fix, Incident, Trial
from stayfinite.report import sentences, trial_lines
from stayfinite.report.help import help_text
from stayfinite.report.html.commands import Command, Rerun, commands
from stayfinite.report.html.path import Drawing, across, down, nodes_of
from stayfinite.report.lines import LONGEST, clip
from stayfinite.report.source_lines import mark
from stayfinite.report.text import as_typed
from stayfinite.report.words import number, plural

# A page has to open on a phone, whatever the incident has. A diff or a table that is longer than
# this is cut, and says so.
MAX_LINES = 400
MAX_DIFF = 60_000  # characters
MAX_FACTS = 12
MAX_TRIALS = 60
_NAME = 300  # characters of a cell of a table

# Wide enough that no sentence is cut: a browser wraps them.
_WIDTH = 10 * LONGEST


@dataclass(frozen=True)
class Fact:
    """A line of the list under the headline."""

    name: str
    text: str


@dataclass(frozen=True)
class SourceLine:
    """The failing line in three parts, the second of which is marked; `label` says what it did."""

    place: str
    line: int
    before: str
    marked: str
    after: str
    label: str


@dataclass(frozen=True)
class DiffLine:
    """A line of a unified diff; `kind` is `add`, `del`, `file`, `hunk` or `same`."""

    kind: str
    text: str


@dataclass(frozen=True)
class LossValue:
    """A loss of the failing step, whether it is finite, and what is known of its gradients."""

    name: str
    text: str
    finite: bool
    gradients: str = ""


@dataclass(frozen=True)
class ReportView:
    """The content of a page, without figures of other steps."""

    incident: Incident
    message: str
    place: str
    when: str
    source: SourceLine | None
    label: str
    facts: tuple[Fact, ...]
    help: str
    proof: str
    diff: tuple[DiffLine, ...]
    more_diff: int
    values: tuple[LossValue, ...]
    path: tuple[Drawing, ...]
    trials: tuple[Trial, ...]
    more_trials: int
    commands: tuple[Command, ...]
    versions: tuple[Fact, ...]


def view_of(incident: Incident, rerun: Rerun | None) -> ReportView:
    """The content of the page of `incident`, whose step can be run again as `rerun` says."""
    incident = replace(incident, kept=as_typed(incident.kept))
    nodes = nodes_of(incident)
    lines = _diff(incident.fix)
    ends = itertools.accumulate(len(line.text) for line in lines[:MAX_LINES])
    shown = lines[: sum(end <= MAX_DIFF for end in ends)]
    return ReportView(
        incident=incident,
        message=_sentence(incident.cause.message),
        place=sentences.place(incident, _WIDTH),
        when=sentences.when(incident),
        source=_source(incident),
        label=sentences.label(incident),
        facts=tuple(_facts(incident)),
        help=_sentence(help_text(incident, _WIDTH) if incident.fix is None else incident.fix.text),
        proof=_sentence(trial_lines.proof(incident)),
        diff=tuple(shown),
        more_diff=len(lines) - len(shown),
        values=tuple(_values(incident)),
        path=(across(nodes), down(nodes)) if nodes else (),
        trials=tuple(_short(trial) for trial in incident.trials[:MAX_TRIALS]),
        more_trials=max(0, len(incident.trials) - MAX_TRIALS),
        commands=tuple(commands(incident, rerun)),
        versions=tuple(_versions(incident)),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _source(incident: Incident) -> SourceLine | None:
    line = incident.source_line
    if incident.origin.line is None or line is None or not line.strip():
        return None
    text, start, end = mark(incident.origin, line[:LONGEST])
    place = sentences.place(incident, _WIDTH)
    label = sentences.label(incident)
    return SourceLine(place, incident.origin.line, text[:start], text[start:end], text[end:], label)


def _facts(incident: Incident) -> Iterator[Fact]:
    found = [
        *(("because", text) for text in incident.because[:MAX_FACTS]),
        ("spread", sentences.spread(incident)),
        ("weights", sentences.weights(incident)),
        *(("note", text) for text in incident.notes[:MAX_FACTS]),
    ]
    for name, text in [("certainty", sentences.certainty(incident)), *found]:
        if text:
            yield Fact(name, text.removeprefix(f"{name}: "))


def _diff(fix: Fix | None) -> list[DiffLine]:
    if fix is None or not fix.diff:
        return []
    return [DiffLine(_kind(line), line[:LONGEST]) for line in fix.diff.rstrip("\n").split("\n")]


def _kind(line: str) -> str:
    if line.startswith(("--- ", "+++ ")):
        return "file"
    if line.startswith("@@"):
        return "hunk"
    return {"+": "add", "-": "del"}.get(line[:1], "same")


def _values(incident: Incident) -> Iterator[LossValue]:
    """The loss in training, with the fix, and in exact arithmetic."""
    fix, spread = incident.fix, incident.spread
    if fix is None or fix.loss is None:
        return
    bad = spread.num_gradients_nonfinite
    of = plural(spread.num_gradients, "gradient")
    yield _value("in training", spread.loss, f"{bad} of {of} nan or inf" if bad else "")
    finite = any(trial.is_fix and trial.outcome == "finite" for trial in incident.trials)
    yield _value("with the fix", number(fix.loss), "every gradient finite" if finite else "")
    if fix.reference_loss is not None:
        yield _value("exact arithmetic", number(fix.reference_loss))


def _value(name: str, text: str, gradients: str = "") -> LossValue:
    try:
        shown = number(float(text))
    except ValueError:
        shown = text or "not computed"
    return LossValue(name, shown, re.search("nan|inf", shown) is None, gradients)


def _versions(incident: Incident) -> Iterator[Fact]:
    yield Fact("backend", clip(incident.backend, _NAME))
    yield Fact("device", clip(incident.device, _NAME))
    for name, version in list(incident.versions.items())[:MAX_FACTS]:
        yield Fact(clip(name, _NAME), clip(version, _NAME))


def _short(trial: Trial) -> Trial:
    return replace(trial, change=clip(trial.change, _NAME), detail=clip(trial.detail, _NAME))
