"""The trials of an incident in words: what was changed, and the result."""

from __future__ import annotations

import math
from typing import NamedTuple

from stayfinite.experiments.changes import (
    BisectedSamples,
    ClipFromStart,
    EarlierRate,
    EarlierWeights,
    FromEarlierState,
    GrowthRemedy,
    LabelsFromZero,
    LowerRate,
    NarrowWeights,
    NewMomentum,
    NewStatistics,
    NewWeights,
    OptimizerSetting,
    OptimizerVariable,
    OtherBatch,
    PaddingOnRight,
    ScaledData,
    SourcePatch,
    StateOfSteps,
    TriedChange,
    UnmaskedRows,
    UsualRate,
    WiderLayer,
)
from stayfinite.experiments.rollout import Rollout
from stayfinite.experiments.try_change import Experiment, NotTried
from stayfinite.frameworks.change import (
    ClipNorm,
    ClipValue,
    LearningRate,
    WiderDtype,
    WithoutSamples,
)
from stayfinite.frameworks.step import Outcome
from stayfinite.incident import StepPart, Trial, TrialKind, TrialOutcome
from stayfinite.report.wording import libraries
from stayfinite.report.wording.obstacles import clause
from stayfinite.report.words import as_given, names, number, plural, sample_list


class _Described(NamedTuple):
    """`kind`, `change` and `parameter` of a trial."""

    kind: TrialKind
    change: str
    parameter: str = ""


def trial_of(experiment: Experiment) -> Trial:
    """The trial that an incident holds."""
    kind, change, parameter = _change(experiment.change)
    outcome: TrialOutcome = "finite" if experiment.finite else "non-finite"
    if isinstance(experiment.result, NotTried):
        outcome = "not-tried"
    if isinstance(experiment.change, SourcePatch) and not experiment.is_fix:
        change = "with a change of the source"
    return Trial(
        change,
        outcome,
        _detail(experiment),
        kind,
        experiment.is_fix,
        parameter,
        _non_finite(experiment.result) if isinstance(experiment.result, Outcome) else (),
    )


def _non_finite(outcome: Outcome) -> tuple[StepPart, ...]:
    parts: dict[StepPart, bool] = {
        "loss": not math.isfinite(outcome.loss),
        "gradients": bool(outcome.bad_gradients),
        "state": bool(outcome.bad_state),
    }
    return tuple(part for part, is_bad in parts.items() if is_bad)


def outcome_in_words(outcome: Outcome) -> str:
    """`loss nan, 3 of 10 gradients non-finite`."""
    parts = [f"loss {outcome.loss:.6g}"] if outcome.num_losses else []
    if outcome.gradients:
        bad = len(outcome.bad_gradients)
        parts.append(f"{bad} of {plural(len(outcome.gradients), 'gradient')} non-finite")
    if outcome.bad_state:
        parts.append(f"{plural(len(outcome.bad_state), 'new state tensor')} non-finite")
    return ", ".join(parts) or "no loss and no gradients"


def not_tried(reason: NotTried) -> str:
    """`TypeError: float32 expected`."""
    why = clause(reason.message)
    return why if reason.error is None else f"{reason.error}: {why}"


def _detail(experiment: Experiment) -> str:
    match experiment.result:
        case Outcome() as outcome:
            return outcome_in_words(outcome)
        case Rollout(losses=losses):
            if not losses:
                return "no step was made"
            return f"loss {number(losses[0])} at first, {number(losses[-1])} at last"
        case NotTried() as reason:
            return f"could not be tried: {not_tried(reason)}"
    if isinstance(experiment.change, BisectedSamples):
        return f"found by bisection in {plural(experiment.change.num_runs, 'run')}"
    return ""


def statistics(change: NewStatistics) -> str:
    """The values that were tried in the place of a statistic."""
    if change.fill is None:
        return f"`{change.tensor}` as it was created"
    return f"{change.fill:g} everywhere in `{change.tensor}`"


def _change(change: TriedChange) -> _Described:
    match change:
        case LearningRate(factor):
            return _rate(f"/ {number(1.0 / factor)}")
        case ClipNorm(norm):
            return _Described(TrialKind.CLIPNORM, f"clipnorm={norm:g}")
        case ClipValue(value):
            return _Described(TrialKind.CLIPVALUE, f"clipvalue={value:g}")
        case WiderDtype():
            return _Described(TrialKind.FLOAT64, "float64")
        case WithoutSamples(samples) | BisectedSamples(samples):
            return _Described(TrialKind.SAMPLES, f"without {sample_list(samples)}")
        case OtherBatch(step):
            return _Described(TrialKind.BATCH, f"the batch of step {step} in its place")
        case SourcePatch():
            return _Described(TrialKind.SOURCE, "with the fix")
        case LabelsFromZero(tensor):
            return _Described(TrialKind.DATA, f"1 subtracted from `{tensor}`")
        case EarlierWeights(weights, _, step):
            text = f"{names(weights, most=1)} as it was at step {step}"
            return _Described(TrialKind.WEIGHTS, text)
        case StateOfSteps(_, first):
            text = f"the state that the steps from {first} on make"
            return _Described(TrialKind.WEIGHTS, text)
        case NewWeights(weights, num_values):
            new = plural(num_values, "new value")
            return _Described(TrialKind.WEIGHTS, f"{new} in {names(weights, most=1)}")
        case NewStatistics():
            return _Described(TrialKind.STATISTICS, statistics(change))
        case NewMomentum(value=value):
            return _Described(
                TrialKind.SETTING, f"momentum={value:g}, moving statistics as they were created"
            )
        case WiderLayer(layer):
            return _Described(TrialKind.FLOAT64, f"{_layer(layer)} in a wider dtype")
        case OptimizerSetting(values=values):
            return _Described(
                TrialKind.SETTING, ", ".join(f"{name}={as_given(v)}" for name, v in values)
            )
        case OptimizerVariable(name, value, _, is_rate):
            text = f"learning_rate={as_given(value)}" if is_rate else f"`{name}` set to {value:g}"
            return _Described(TrialKind.SETTING, text)
        case FromEarlierState(remedy, first, num_steps):
            kind, text, parameter = _growth_remedy(remedy)
            steps = f", {plural(num_steps, 'step')} from step {first} on"
            return _Described(kind, text + steps, parameter and parameter + steps)
        case PaddingOnRight() | UnmaskedRows():
            return _Described(TrialKind.DATA, libraries.tried(change))
        case _:
            return _Described(TrialKind.SETTING, libraries.tried(change))


def _growth_remedy(remedy: GrowthRemedy) -> _Described:
    match remedy:
        case EarlierRate(before):
            return _rate(number(before))
        case LowerRate(times):
            return _rate(f"/ {times}")
        case UsualRate(rate):
            return _rate(number(rate))
        case ClipFromStart(norm):
            return _Described(TrialKind.CLIPNORM, f"clipnorm={norm:g}")
        case ScaledData(roles=roles):
            return _Described(
                TrialKind.DATA, f"{' and '.join(f'{role}s' for role in roles)} scaled to 1"
            )
        case NarrowWeights(clipnorm=clipnorm):
            also = "" if clipnorm is None else f", clipnorm={clipnorm:g}"
            return _Described(TrialKind.WEIGHTS, f"weights initialised as by glorot_uniform{also}")


def _rate(new: str) -> _Described:
    return _Described(TrialKind.LEARNING_RATE, f"learning rate {new}", new)


def _layer(path: str | None) -> str:
    return "the layer" if path is None else f"`{path}`"
