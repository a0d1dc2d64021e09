"""Which cause the evidence shows, by the order of the causes.

The first rule of `ORDER` that matches gives the cause. A more special rule comes before a more
general one: bad inputs before ops on them, masked values before visible ones. Two causes are
refined afterwards: a bad update and a bad statistic get the reason why the expression at the root
fails.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stayfinite.diagnose.causes import (
    bad_input,
    bad_statistics,
    bad_target,
    bad_update,
    bad_weights,
    divergence,
    division_by_zero,
    empty_reduction,
    epsilon_underflow,
    fully_masked_row,
    half_overflow,
    log_of_zero,
    masked_branch,
    out_of_domain,
    overflow,
    singular_gradient,
    unknown,
)
from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import ExpressionFacts
from stayfinite.diagnose.facts.new_state import BadNewStatistic, BadNewWeights, Reason
from stayfinite.diagnose.finding import CauseName, Finding
from stayfinite.strict import caught


@dataclass(frozen=True)
class CauseRule:
    """How a cause is recognised.

    Args:
        cause: The cause.
        match: Gives the finding if the evidence shows it.
        is_reason: Whether one expression can have this cause by itself, so that it may be the
            reason of a bad update or a bad statistic.
    """

    cause: CauseName
    match: Callable[[Evidence], Finding | None]
    is_reason: bool = False


@dataclass(frozen=True)
class Classification:
    """The finding, and notes on rules that failed."""

    finding: Finding
    notes: tuple[str, ...] = ()


ORDER: tuple[CauseRule, ...] = (
    CauseRule("bad-weights", bad_weights.match),
    CauseRule("bad-statistics", bad_statistics.match),
    CauseRule("bad-input", bad_input.match),
    CauseRule("bad-target", bad_target.match),
    CauseRule("bad-weights", bad_weights.match_jump),
    CauseRule("divergence", divergence.match),
    CauseRule("bad-update", bad_update.match),
    CauseRule("half-overflow", half_overflow.match_masked_row),
    CauseRule("fully-masked-row", fully_masked_row.match),
    CauseRule("epsilon-underflow", epsilon_underflow.match, is_reason=True),
    CauseRule("masked-branch", masked_branch.match),
    CauseRule("out-of-domain", out_of_domain.match_matrix, is_reason=True),
    CauseRule("singular-gradient", singular_gradient.match),
    CauseRule("out-of-domain", out_of_domain.match, is_reason=True),
    CauseRule("log-of-zero", log_of_zero.match, is_reason=True),
    CauseRule("empty-reduction", empty_reduction.match, is_reason=True),
    CauseRule("division-by-zero", division_by_zero.match, is_reason=True),
    CauseRule("half-overflow", half_overflow.match, is_reason=True),
    CauseRule("overflow", overflow.match, is_reason=True),
    CauseRule("unknown", unknown.match),
)


def classify(evidence: Evidence) -> Classification:
    """The first cause that matches. A rule that raises gives a note, and the next one is tried."""
    notes: list[str] = []
    finding = _first(ORDER, evidence, notes)
    if finding is None:
        finding = unknown.match(evidence)
    return Classification(_with_reason(finding, evidence, notes), tuple(notes))


def _first(rules: Iterable[CauseRule], evidence: Evidence, notes: list[str]) -> Finding | None:
    for rule in rules:
        try:
            finding = rule.match(evidence)
        except Exception as error:
            notes.append(caught(f"the rule `{rule.cause}`", error))
            continue
        if finding is not None:
            return finding
    return None


def _with_reason(finding: Finding, evidence: Evidence, notes: list[str]) -> Finding:
    """A bad update or statistic with the reason of its root, and how its source can be repaired."""
    facts, op = finding.facts, evidence.op
    if op is None or not isinstance(facts, BadNewStatistic | BadNewWeights):
        return finding
    if facts.reason is not None:
        return finding
    local = _first((rule for rule in ORDER if rule.is_reason), evidence, notes)
    if local is None or not isinstance(local.facts, ExpressionFacts):
        return finding
    finding = dataclasses.replace(
        finding, facts=dataclasses.replace(facts, reason=Reason(local.op, local.facts))
    )
    if isinstance(facts, BadNewStatistic):
        finding = dataclasses.replace(finding, samples=local.samples)
    if not op.stack:
        return finding  # the expression is a library's
    return dataclasses.replace(
        finding, critical=local.critical, mechanism=local.mechanism, operand=local.operand
    )
