"""What an explanation proved to let a running training go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stayfinite.experiments.changes import (
    ClipFromStart,
    EarlierRate,
    FromEarlierState,
    GrowthRemedy,
    LowerRate,
    OptimizerSetting,
    StateOfSteps,
    UsualRate,
)
from stayfinite.frameworks.change import (
    ClipNorm,
    HighestRate,
    LastingChange,
    LearningRate,
    Settings,
)
from stayfinite.frameworks.snapshots import Snapshot
from stayfinite.frameworks.state_log import MadeAgain
from stayfinite.incident import Incident
from stayfinite.report.assemble import Explanation


@dataclass(frozen=True)
class ProvedRemedy:
    """What was proved to let the training go on without an edit of the source.

    Without a change and samples, it is enough to make the step again: it is finite each time.

    Attributes:
        change: A setting for all later steps, if that is the remedy.
        samples: Samples of the failing batch to leave out, if that is the remedy.
        earlier: The earlier state that the remedy was proved from; None for that before the step.
        again: The state that the steps before make, if it is enough to go on from that.
    """

    change: LastingChange | None = None
    samples: tuple[int, ...] = ()
    earlier: Snapshot | None = None
    again: MadeAgain | None = None


@dataclass(frozen=True)
class Explained:
    """The incident of a bad step, and what was proved to let the training go on.

    Attributes:
        incident: The incident.
        remedy: A remedy that can be applied to the running training; None where none was proved.
        repair: Puts the source fix that has the right value into the running program; returns
            False where it cannot. None where no such fix was proved.
        interruption: The note of Ctrl-C, if that ended the explanation; the training has to end.
    """

    incident: Incident
    remedy: ProvedRemedy | None = None
    repair: Callable[[], bool] | None = None
    interruption: str | None = None


def remedy_of(
    found: Explanation, snapshots: Sequence[Snapshot], again: MadeAgain | None = None
) -> ProvedRemedy | None:
    """The remedy of the explanation that a running training can go on with; None without one."""
    proved = found.remedy.proved
    change = None if proved is None else proved.change
    if isinstance(change, StateOfSteps):
        return ProvedRemedy(again=again)
    if isinstance(change, FromEarlierState):
        lasting = _lasting(change.remedy)
        earlier = next((kept for kept in snapshots if kept.step == change.first), None)
        if lasting is not None and earlier is not None:
            return ProvedRemedy(lasting, earlier=earlier)
    elif isinstance(change, OptimizerSetting):
        return ProvedRemedy(Settings(dict(change.values)))
    if found.samples.shown and found.samples.samples:
        return ProvedRemedy(samples=found.samples.samples)
    return None


def _lasting(remedy: GrowthRemedy) -> LastingChange | None:
    """The remedy of a growth as a setting of the optimizer; None where it is none."""
    match remedy:
        case LowerRate(times):
            return LearningRate(1.0 / times)
        case EarlierRate(before):
            return HighestRate(before)
        case UsualRate(rate):
            return HighestRate(rate)
        case ClipFromStart(norm):
            return ClipNorm(norm)
    return None


def repair_of(found: Explanation) -> Callable[[], bool] | None:
    """What puts a verified source fix into the running program; None without such a fix."""
    fix = found.source_fix
    # A step with a loss far above leaves moments with which nothing is learned any more.
    if fix is None or not fix.is_settled or fix.is_far_above:
        return None
    return fix.put_in_place
