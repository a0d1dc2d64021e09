"""Finding a source repair, and proving it on the step that failed and on healthy ones."""

from __future__ import annotations

from dataclasses import dataclass

from stayfinite.incident import Fix, Trial
from stayfinite.replay.change import Batch
from stayfinite.replay.step import Step
from stayfinite.rules.finding import Finding
from stayfinite.trace.evidence import Evidence


@dataclass(frozen=True)
class Mended:
    """The best repair found, and the trial of it."""

    fix: Fix
    trial: Trial | None
    num_healthy_steps: int


def mend(
    step: Step, evidence: Evidence, finding: Finding, healthy: list[Batch]
) -> Mended | None:
    """placeholder until repair lands"""
    return None
