"""Which samples of the batch make the step fail, where the finding does not show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stayfinite.diagnose.finding import Finding
from stayfinite.experiments.changes import BisectedSamples
from stayfinite.experiments.minimize_samples import (
    SmallestSamples,
    failing_alone,
    smallest_samples,
)
from stayfinite.experiments.try_change import Experiment
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.step import Step

# These causes do not depend on the batch.
_WITHOUT_SAMPLES = {"bad-statistics", "bad-update", "bad-weights", "divergence"}


@dataclass(frozen=True)
class SamplesAtFault:
    """The samples, and how they were found.

    Args:
        samples: Those to name; None where they are not known.
        shown: Whether an experiment without exactly these samples was finite.
        finite_alone: Samples that the finding names, and that do not fail by themselves.
        bisection: The search that found them, if one did.
        too_slow: Whether the step takes too long to search.
        experiment: The result of the search.
    """

    samples: tuple[int, ...] | None
    shown: bool = False
    finite_alone: tuple[int, ...] = ()
    bisection: SmallestSamples | None = None
    too_slow: bool = False
    experiment: Experiment | None = None


def find_samples(
    step: Step, finding: Finding, without: Experiment | None, healthy: Sequence[Batch]
) -> SamplesAtFault:
    """Search the fewest samples, unless the finding has them or the cause is not in the batch.

    Args:
        step: The failing step.
        finding: Its cause.
        without: The step without the samples of the finding, if these are known.
        healthy: Batches before it, newest first.
    """
    samples, num_samples = finding.samples, step.trace.num_samples or 0
    finite = without is not None and without.finite
    shown = finite and bool(samples) and len(samples or ()) < num_samples
    # Seen in the numbers themselves. Where that is not all, another array has bad numbers, too.
    is_all = without is None or finite
    if finding.cause in _WITHOUT_SAMPLES or (_is_in_data(finding) and is_all):
        return SamplesAtFault(samples, shown)
    if samples and finite and len(samples) <= max(1, num_samples // 2):
        alone = failing_alone(step, samples, healthy)
        if alone == samples:
            return SamplesAtFault(samples, shown)
        others = tuple(sample for sample in samples if sample not in alone)
        return SamplesAtFault(alone, finite_alone=others)
    search = smallest_samples(step, healthy)
    if search.smallest is None:
        return SamplesAtFault(samples, shown, too_slow=search.too_slow)
    found = search.smallest
    change = BisectedSamples(found.samples, found.num_runs)
    experiment = Experiment(change, None, finite=True)
    return SamplesAtFault(found.samples, True, bisection=found, experiment=experiment)


def with_samples(finding: Finding, found: SamplesAtFault) -> Finding:
    """The finding with the samples that were found.

    Not with those of another failure of the step: one of them fails alone, and is good at the op
    at fault. Samples whose numbers are bad stay those of the array that has these numbers.
    """
    if _is_in_data(finding):
        return finding
    samples, own = found.samples, set(finding.samples or ())
    alone = None if found.bisection is None else found.bisection.alone
    fails_elsewhere = alone is not None and alone not in own
    if samples == finding.samples or (own and fails_elsewhere and own < set(samples or ())):
        return finding
    critical = finding.critical
    if critical is not None:
        critical = replace(critical, samples=samples)
    return replace(finding, samples=samples, critical=critical)


def _is_in_data(finding: Finding) -> bool:
    return finding.phase == "data" and bool(finding.samples)
