"""The samples of the batch that are named where no expression tells them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.numbers import samples_named
from stayfinite.experiments.minimize_samples import Smallest, at_fault, smallest
from stayfinite.experiments.trials import without
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.step import Step
from stayfinite.incident import Trial

# What came in with the state, or grew in it, fails on any samples.
_NO_SAMPLES = {"bad-statistics", "bad-update", "bad-weights", "divergence"}


@dataclass(frozen=True)
class Suspects:
    """The finding with the samples that were found, and what is to be said of them."""

    finding: Finding
    trials: tuple[Trial, ...] = ()
    because: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def suspects(
    step: Step, finding: Finding, samples_trial: Trial | None, healthy: Sequence[Batch]
) -> Suspects:
    """Look for the fewest samples, unless the rule knows them or the cause lies outside the batch.

    Args:
        step: The failing step.
        finding: What the rules say.
        samples_trial: The step without the samples of the finding, if these are known.
        healthy: Batches before it, newest first.
    """
    samples, num_samples = finding.samples, step.trace.num_samples or 0
    shown = samples_trial is not None and samples_trial.outcome == "finite"
    in_data = finding.phase == "data" and samples  # seen in the numbers themselves
    if finding.cause in _NO_SAMPLES or in_data:
        return Suspects(finding)
    if samples and shown and len(samples) <= max(1, num_samples // 2):
        alone = at_fault(step, samples, healthy)
        if alone == samples:
            return Suspects(finding)
        others = tuple(sample for sample in samples if sample not in alone)
        said = f"{without(alone)} the step is finite; {samples_named(others)} would not fail alone"
        return Suspects(_naming(finding, alone), because=(said,))
    found, note = smallest(step, healthy)
    if found is None:
        return Suspects(finding, notes=() if note is None else (note,))
    named = _naming(finding, found.samples)
    trial = Trial(without(found.samples), "finite", f"found by bisection in {found.num_runs} runs")
    return Suspects(named, (trial,), (_said(found),))


def _naming(finding: Finding, samples: tuple[int, ...]) -> Finding:
    critical = finding.critical
    if critical is not None:
        critical = dataclasses.replace(critical, samples=samples)
    return dataclasses.replace(finding, samples=samples, critical=critical)


def _said(found: Smallest) -> str:
    listed = samples_named(found.samples)
    if len(found.samples) == 1:
        return f"{listed} makes this step fail: with another in its place it is finite"
    said = f"{listed} make this step fail: with others in their place it is finite"
    if found.alone is None:
        return f"{said}; none of them fails by itself"
    return f"{said}; sample {found.alone} fails by itself"
