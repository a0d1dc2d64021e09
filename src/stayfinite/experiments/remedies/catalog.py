"""Which remedies are tried for which cause."""

from __future__ import annotations

import dataclasses

from stayfinite.experiments.remedies import (
    data,
    divergence,
    library,
    statistics,
    update,
    weights,
)
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch

_BY_CAUSE = {
    "bad-input": data.find_remedy,
    "bad-target": data.find_remedy,
    "bad-statistics": statistics.find_remedy,
    "bad-update": update.find_remedy,
    "bad-weights": weights.find_remedy,
    "divergence": divergence.find_remedy,
}


def find_remedy(context: FailureContext) -> RemedySearch:
    """The first remedy for the cause that was found with which training goes on."""
    find = _BY_CAUSE.get(context.finding.cause)
    search = RemedySearch() if find is None else find(context)
    if search.proved is not None or not library.is_of_library(context):
        return search
    tried = library.experiments(context)
    return dataclasses.replace(search, experiments=(*search.experiments, *tried))
