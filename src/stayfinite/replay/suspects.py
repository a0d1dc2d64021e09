"""The rows of the batch that are named where no expression tells them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.incident import Trial
from stayfinite.replay.change import Batch
from stayfinite.replay.minimal import Smallest, smallest
from stayfinite.replay.step import Step
from stayfinite.rules.finding import Finding

# What came in with the state, or grew in it, fails on any rows.
_NO_ROWS = {"bad-statistics", "bad-update", "bad-weights", "divergence"}


@dataclass(frozen=True)
class Suspects:
    """The finding with the rows that were found, and what is to be said of them."""

    finding: Finding
    trials: tuple[Trial, ...] = ()
    because: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def suspects(
    step: Step, finding: Finding, rows_trial: Trial | None, healthy: Sequence[Batch]
) -> Suspects:
    """Look for the fewest rows, unless the rule knows them or the cause lies outside the batch.

    Args:
        step: The failing step.
        finding: What the rules say.
        rows_trial: The step without the rows of the finding, if these are known.
        healthy: Batches before it, newest first.
    """
    rows, num_rows = finding.rows, step.trace.num_rows or 0
    shown = rows_trial is not None and rows_trial.outcome == "finite"
    in_data = finding.phase == "data" and rows  # seen in the numbers themselves
    if (
        finding.cause in _NO_ROWS
        or in_data
        or (rows and shown and len(rows) <= max(1, num_rows // 2))
    ):
        return Suspects(finding)
    found, note = smallest(step, healthy)
    if found is None:
        return Suspects(finding, notes=() if note is None else (note,))
    critical = finding.critical
    if critical is not None:
        critical = dataclasses.replace(critical, rows=found.rows)
    named = dataclasses.replace(finding, rows=found.rows, critical=critical)
    listed = ", ".join(map(str, found.rows))
    noun = "row" if len(found.rows) == 1 else "rows"
    trial = Trial(
        f"without {noun} {listed}", "finite", f"found by bisection in {found.num_runs} runs"
    )
    return Suspects(named, (trial,), (_said(found, noun, listed),))


def _said(found: Smallest, noun: str, listed: str) -> str:
    if len(found.rows) == 1:
        return f"row {listed} makes this step fail: with another in its place it is finite"
    said = f"{noun} {listed} make this step fail: with others in their place it is finite"
    if found.alone is None:
        return f"{said}; none of them fails by itself"
    return f"{said}; row {found.alone} fails by itself"
