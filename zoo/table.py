"""The tables of a score and the lists below them, as rows of text."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zoo.case import VALUES
from zoo.judging import ASPECTS, Judgement, claimed
from zoo.scoring import Innocent, Score

NOTHING = "-"


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns, and rows of as many cells."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(scores: Sequence[Score]) -> list[Table]:
    """The overview, each tool by cause, then everything that went wrong, each by name."""
    found = [_overview(scores)]
    if any(score.judgements for score in scores):
        found += [_by_cause(tool, _of(scores, tool)) for tool in _tools(scores)]
    lists = (
        *(_values(scores), _misses(scores), _wrong_claims(scores), _not_comparable(scores)),
        *(_false_fixes(scores), _false_alarms(scores), _other_fixes(scores), _troubles(scores)),
    )
    found += [table for table in lists if table.rows]
    return found


def _overview(scores: Sequence[Score]) -> Table:
    head = (
        *("tool", "backend", "cases", *ASPECTS, "op named", "seconds to report"),
        *("verified but does not hold", "false alarms: twins", "controls", "wall time"),
    )
    rows = []
    for tool in _tools(scores):
        mine = _of(scores, tool)
        parts = [(score.backend, [score]) for score in mine]
        for backend, part in parts + ([("all", mine)] if len(mine) > 1 else []):
            judgements = [judgement for score in part for judgement in score.judgements]
            innocents = [innocent for score in part for innocent in score.innocents]
            rows.append(
                (
                    tool,
                    backend,
                    *_counts(judgements),
                    _share(judgement.answer.op is not None for judgement in judgements),
                    _seconds(judgements),
                    _false_fix_share(judgements),
                    _share(i.false_alarm for i in innocents if i.kind == "twin"),
                    _share(i.false_alarm for i in innocents if i.kind == "control"),
                    _wall_ratio(innocents),
                )
            )
    return Table("Overview", head, rows)


def _by_cause(tool: str, scores: list[Score]) -> Table:
    judgements = [judgement for score in scores for judgement in score.judgements]
    causes = sorted({judgement.case.cause for judgement in judgements})
    rows = []
    for cause in causes:
        of_cause = [judgement for judgement in judgements if judgement.case.cause == cause]
        rows.append((cause, *_counts(of_cause), _seconds(of_cause)))
    rows.append(("all", *_counts(judgements), _seconds(judgements)))
    backends = ", ".join(score.backend for score in scores)
    head = ("cause", "cases", *ASPECTS, "seconds to report")
    return Table(f"{tool} by cause, on {backends}", head, rows)


def _misses(scores: Sequence[Score]) -> Table:
    rows = [
        (score.tool.name, j.case.id, score.backend, miss.aspect, miss.expected, miss.received)
        for score in scores
        for j in score.judgements
        for miss in j.misses
        if miss.aspect != "claims right"  # they have a table of their own
    ]
    return Table("Misses", ("tool", "case", "backend", "aspect", "expected", "received"), rows)


def _values(scores: Sequence[Score]) -> Table:
    rows = []
    for score in scores:
        for value in VALUES:
            fixes = [
                j.answer.fix
                for j in score.judgements
                if j.case.value == value and j.answer.fix and j.answer.fix.diff
            ]
            if not fixes:
                continue
            same = [fix.same_value for fix in fixes]
            other = [fix for fix in fixes if fix.same_value is False]
            counts = (len(fixes), same.count(True), len(other), same.count(None))
            verified = sum(fix.verified for fix in other)
            rows.append((score.tool.name, score.backend, value, *map(str, (*counts, verified))))
    head = (
        *("tool", "backend", "value of the twin", "source diffs", "same value", "another"),
        *("not comparable", "another, and verified"),
    )
    return Table("Value of the failing step with the fix", head, rows)


def _wrong_claims(scores: Sequence[Score]) -> Table:
    rows = [
        (
            *(score.tool.name, j.case.id, score.backend, claimed(j.answer.fix)),
            *(str(j.case.value), j.answer.fix.difference or NOTHING),
        )
        for score in scores
        for j in score.judgements
        if j.right.get("claims right") is False and j.answer.fix
    ]
    head = ("tool", "case", "backend", "claim", "value of the twin", "difference")
    return Table("Wrong claims about the value", head, rows)


def _not_comparable(scores: Sequence[Score]) -> Table:
    rows = [
        (score.tool.name, j.case.id, score.backend, j.answer.fix.difference)
        for score in scores
        for j in score.judgements
        if j.answer.fix and j.answer.fix.same_value is None and j.answer.fix.difference
    ]
    return Table("Not comparable with the twin", ("tool", "case", "backend", "reason"), rows)


def _false_fixes(scores: Sequence[Score]) -> Table:
    rows = [
        (score.tool.name, j.case.id, score.backend, str(j.answer.fix and j.answer.fix.trouble))
        for score in scores
        for j in score.judgements
        if j.false_fix
    ]
    return Table("Verified but does not hold", ("tool", "case", "backend", "then"), rows)


def _false_alarms(scores: Sequence[Score]) -> Table:
    rows = [
        (score.tool.name, innocent.id, score.backend, innocent.answer.said)
        for score in scores
        for innocent in score.innocents
        if innocent.false_alarm
    ]
    return Table("False alarms", ("tool", "script", "backend", "said"), rows)


def _other_fixes(scores: Sequence[Score]) -> Table:
    rows = [
        (score.tool.name, j.case.id, score.backend, j.case.fix, j.answer.fix.kind)
        for score in scores
        for j in score.judgements
        if j.other_fix and j.answer.fix
    ]
    head = ("tool", "case", "backend", "an expert's", "the tool's")
    return Table("Verified fixes of another kind than an expert's", head, rows)


def _troubles(scores: Sequence[Score]) -> Table:
    rows = [
        (score.tool.name, innocent.id, score.backend, innocent.answer.trouble)
        for score in scores
        for innocent in score.innocents
        if innocent.answer.trouble is not None and not innocent.false_alarm
    ]
    head = ("tool", "script", "backend", "ended with")
    return Table("Twins and controls that did not train to their end", head, rows)


def _counts(judgements: list[Judgement]) -> tuple[str, ...]:
    shares = (
        _share(judgement.right[aspect] for judgement in judgements if aspect in judgement.right)
        for aspect in ASPECTS
    )
    return (str(len(judgements)), *shares)


def _share(values: Iterable[bool]) -> str:
    counted = list(values)
    return f"{sum(counted)}/{len(counted)}" if counted else NOTHING


def _false_fix_share(judgements: list[Judgement]) -> str:
    fixes = [judgement.answer.fix for judgement in judgements]
    return _share(fix.holds is False for fix in fixes if fix and fix.holds is not None)


def _seconds(judgements: list[Judgement]) -> str:
    seconds = [j.answer.report_seconds for j in judgements if j.answer.report_seconds is not None]
    if not seconds:
        return NOTHING
    return f"{statistics.median(seconds):.1f} (max {max(seconds):.1f})"


def _wall_ratio(innocents: list[Innocent]) -> str:
    ratios = [
        innocent.answer.wall_seconds / innocent.plain_seconds
        for innocent in innocents
        if innocent.plain_seconds and not innocent.false_alarm and not innocent.answer.trouble
    ]
    return f"{statistics.median(ratios):.2f}" if ratios else NOTHING


def _tools(scores: Sequence[Score]) -> list[str]:
    return list(dict.fromkeys(score.tool.name for score in scores))


def _of(scores: Sequence[Score], tool: str) -> list[Score]:
    return [score for score in scores if score.tool.name == tool]
