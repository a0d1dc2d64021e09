"""A number that stands for a missing value and was computed with, as -1 among counts."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose import numbers
from stayfinite.diagnose.evidence import Evidence, as_float
from stayfinite.diagnose.finding import Finding

# An opinion about the sign of an array needs a few samples.
_FEWEST_SAMPLES = 4


def match(evidence: Evidence, cause: str, roles: tuple[str, ...], noun: str) -> Finding | None:
    """The root failed on targets alone, just where they are negative and all others are not.

    Of inputs nothing is said: a layer is expected to take what it is given.
    """
    op = evidence.op
    if op is None or op.phase != "forward" or "target" not in roles:
        return None
    for value in op.operands:
        leaves = evidence.trace.leaves_of(value)
        if len(leaves) != 1 or leaves[0].role != "target":
            continue
        samples = evidence.samples(op.results[0], evidence.bad(op.results[0]))
        array = as_float(evidence.fetch([leaves[0].value])[leaves[0].value])
        if not samples or array.ndim == 0 or len(array) < len(samples) + _FEWEST_SAMPLES:
            continue
        of_samples = np.zeros(len(array), bool)
        of_samples[list(samples)] = True
        kept, others = array[of_samples], array[~of_samples]
        lowest = float(kept.min())
        if others.min() < 0 or lowest >= 0:
            continue
        name = leaves[0].name
        return Finding(
            cause=cause,
            message=f"{noun} `{name}` of the batch holds {numbers.short(lowest)}",
            op=noun,
            detail=(
                f"all other samples are at least {numbers.short(float(others.min()))}"
                f"{numbers.count(samples, evidence.trace.num_samples)}; a number that stands for a "
                f"missing value looks like this, and `{op.name}` has no value there"
            ),
            samples=samples,
            remedy=(
                f"leave out the samples of `{name}` that have no value "
                f"({numbers.samples_named(samples)}) before training"
            ),
            tensor=name,
            phase="data",
        )
    return None
