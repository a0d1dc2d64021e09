"""`bad-input`, `bad-target`: labels that count from 1, counted from 0.

That the step is finite without the bad samples is tried for every cause, in `replay.trials`.
"""

from __future__ import annotations

from stayfinite.experiments.remedies.proof import Past, Proof, fix, tried
from stayfinite.frameworks.change import OnBatch


def prove(past: Past) -> Proof:
    """Labels less 1, where the numbers suggest it."""
    finding, name = past.finding, past.finding.tensor
    if name is None or not finding.detail.endswith("they count from 1"):
        return Proof(finding)
    labels = past.step.batch.arrays()[name]
    batch = past.step.batch.with_arrays({name: labels - 1})
    text = f"subtract 1 from `{name}`, which counts from 1"
    trial, goes_on = tried(past, text, OnBatch(batch))
    if not goes_on:
        return Proof(finding, None, (trial,))
    return Proof(finding, fix("data", text), (trial,))
