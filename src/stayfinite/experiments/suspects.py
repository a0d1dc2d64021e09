"""The rows of the batch that are named where no expression tells them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.numbers import rows_named
from stayfinite.experiments.minimize_samples import Smallest, at_fault, smallest
from stayfinite.experiments.trials import without
from stayfinite.frameworks.change import Batch
from stayfinite.frameworks.step import Step
from stayfinite.incident import Trial

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
    if finding.cause in _NO_ROWS or in_data:
        return Suspects(finding)
    if rows and shown and len(rows) <= max(1, num_rows // 2):
        alone = at_fault(step, rows, healthy)
        if alone == rows:
            return Suspects(finding)
        others = tuple(row for row in rows if row not in alone)
        said = f"{without(alone)} the step is finite; {rows_named(others)} would not fail alone"
        return Suspects(_naming(finding, alone), because=(said,))
    found, note = smallest(step, healthy)
    if found is None:
        return Suspects(finding, notes=() if note is None else (note,))
    named = _naming(finding, found.rows)
    trial = Trial(without(found.rows), "finite", f"found by bisection in {found.num_runs} runs")
    return Suspects(named, (trial,), (_said(found),))


def _naming(finding: Finding, rows: tuple[int, ...]) -> Finding:
    critical = finding.critical
    if critical is not None:
        critical = dataclasses.replace(critical, rows=rows)
    return dataclasses.replace(finding, rows=rows, critical=critical)


def _said(found: Smallest) -> str:
    listed = rows_named(found.rows)
    if len(found.rows) == 1:
        return f"{listed} makes this step fail: with another in its place it is finite"
    said = f"{listed} make this step fail: with others in their place it is finite"
    if found.alone is None:
        return f"{said}; none of them fails by itself"
    return f"{said}; row {found.alone} fails by itself"
