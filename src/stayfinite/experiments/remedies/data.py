"""`bad-input`, `bad-target`: labels that count from 1, counted from 0.

That the step is finite without the bad samples is tried for every cause: `experiments/advice.py`.
"""

from __future__ import annotations

from stayfinite.diagnose.facts.inputs import MissingClass, MissingIndex, ValuePattern
from stayfinite.experiments.changes import LabelsFromZero
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch, try_remedy
from stayfinite.frameworks.change import OnBatch


def find_remedy(context: FailureContext) -> RemedySearch:
    """Labels less 1, where they count from 1."""
    name, facts = context.finding.tensor, context.finding.facts
    if name is None or not isinstance(facts, MissingIndex | MissingClass):
        return RemedySearch()
    if facts.pattern is not ValuePattern.COUNTS_FROM_1:
        return RemedySearch()
    labels = context.step.batch.arrays()[name]
    batch = context.step.batch.with_arrays({name: labels - 1})
    return RemedySearch((try_remedy(context, LabelsFromZero(name), OnBatch(batch)),))
