"""`bad-input`, `bad-target`: labels that count from 1, counted from 0; targets without alignment.

That the step is finite without the bad samples is tried for every cause: `experiments/advice.py`.
"""

from __future__ import annotations

from stayfinite.diagnose.facts.inputs import (
    MissingClass,
    MissingIndex,
    TargetTooLong,
    ValuePattern,
)
from stayfinite.experiments.changes import LabelsFromZero, OtherLibrarySetting
from stayfinite.experiments.remedies.try_remedy import FailureContext, RemedySearch, try_remedy
from stayfinite.frameworks.change import OnBatch, OtherSetting
from stayfinite.frameworks.library_setting import LibrarySetting

_SETTING = LibrarySetting("loss", "ctc_loss", "zero_infinity", "zero_infinity", False)


def find_remedy(context: FailureContext) -> RemedySearch:
    """Labels less 1, where they count from 1; a loss of 0 for targets that are too long."""
    name, facts = context.finding.tensor, context.finding.facts
    if isinstance(facts, TargetTooLong) and context.step.subject.library == "torch":
        # The functional and the module of PyTorch call the same function.
        of_configs = [each for each in context.step.subject.library_settings() if _is_like(each)]
        search = RemedySearch()
        for setting in (*of_configs, _SETTING):
            remedy, change = OtherLibrarySetting(setting, True), OtherSetting(setting, True)
            search = search.then(try_remedy(context, remedy, change))
            if search.proved is not None:
                break
        return search
    if name is None or not isinstance(facts, MissingIndex | MissingClass):
        return RemedySearch()
    if facts.pattern is not ValuePattern.COUNTS_FROM_1:
        return RemedySearch()
    labels = context.step.batch.arrays()[name]
    batch = context.step.batch.with_arrays({name: labels - 1})
    return RemedySearch((try_remedy(context, LabelsFromZero(name), OnBatch(batch)),))


def _is_like(setting: LibrarySetting) -> bool:
    """Whether a model of a library passes it to its loss."""
    return setting.kind == "config" and setting.name.endswith(_SETTING.name)
