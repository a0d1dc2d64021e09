"""Search for a source fix of a failing step."""

from __future__ import annotations

from dataclasses import dataclass

from stayfinite.diagnose.float64_run import Float64Run
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.diagnose.origin import TRAINING_CALLS
from stayfinite.experiments.patch_search import Form, PatchSearch, is_exact
from stayfinite.experiments.patch_trials import PatchTrials
from stayfinite.experiments.source_fix import SourceFix
from stayfinite.experiments.time_limit import TimeLimit
from stayfinite.frameworks.batch import Batch
from stayfinite.frameworks.step import Step
from stayfinite.graph.source import callee

# Seconds of the whole search.
_SECONDS = 25.0


@dataclass(frozen=True)
class FixSearch:
    """What a search for a source fix found.

    Args:
        fix: The best patch; None where none was found.
        left_out: Forms that were not all tried, because the search reached its limit.
        seconds: The limit, in processor time.
        seconds_by_clock: The limit by the clock.
    """

    fix: SourceFix | None
    left_out: tuple[Form, ...] = ()
    seconds: float = 0.0
    seconds_by_clock: float = 0.0


def find_source_fix(
    step: Step, diagnosis: Diagnosis, wider: Float64Run, healthy: list[Batch], path: str | None
) -> FixSearch | None:
    """A search for a fix for `diagnosis`; None where the source is not at fault or not there.

    Args:
        step: The failing step.
        diagnosis: Its cause.
        wider: It in float64.
        healthy: Batches before it, newest first.
        path: How the diff names the file.
    """
    op = diagnosis.evidence.forward_op
    if op is None or op.span is None:
        return None
    trials = PatchTrials(step, diagnosis, wider, healthy, path)
    limit = TimeLimit(_SECONDS)
    search = PatchSearch(step, diagnosis, healthy, trials, limit)
    fix = search.run()
    # After an exact one, no other is better.
    left_out = () if is_exact(fix) else tuple(dict.fromkeys(search.left_out))
    return FixSearch(fix, left_out, limit.seconds, limit.seconds_by_clock)


def library_call(diagnosis: Diagnosis) -> str | None:
    """The library's layer or loss that holds the op at fault, as the user's line calls it."""
    op = diagnosis.evidence.forward_op
    if op is None or op.span is None or op.stack or diagnosis.finding.mechanism is None:
        return None
    called = callee(op.span)
    return None if called in TRAINING_CALLS else called
