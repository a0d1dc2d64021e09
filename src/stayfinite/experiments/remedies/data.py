"""`bad-input`, `bad-target`: labels that count from 1, counted from 0.

That the step is finite without the bad samples is tried for every cause: `experiments/advice.py`.
"""

from __future__ import annotations

from stayfinite.experiments.changes import LabelsFromZero
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch, try_remedy
from stayfinite.frameworks.change import OnBatch


def find_remedy(context: FailureContext) -> RemedySearch:
    """Labels less 1, where none of them is 0."""
    name = context.finding.tensor
    labels = None if name is None else context.step.batch.arrays().get(name)
    if name is None or labels is None or labels.dtype.kind not in "iu" or not labels.size:
        return RemedySearch()
    if int(labels.min()) != 1:
        return RemedySearch()
    batch = context.step.batch.with_arrays({name: labels - 1})
    return RemedySearch((try_remedy(context, LabelsFromZero(name), OnBatch(batch)),))
