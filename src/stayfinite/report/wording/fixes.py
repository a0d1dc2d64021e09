"""Remedies in words, and the messages of causes that a remedy made clear."""

from __future__ import annotations

import math
from pathlib import Path

from stayfinite.experiments.changes import (
    BadInitializer,
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
    RateSource,
    Remedy,
    ScaledData,
    StateOfSteps,
    UsualRate,
    WiderLayer,
)
from stayfinite.experiments.remedies.try_remedy import AtFault
from stayfinite.incident import FixKind
from stayfinite.numerics.dtypes import largest
from stayfinite.report.wording import libraries
from stayfinite.report.wording.trials import statistics
from stayfinite.report.words import as_given, names, number, plural, sample_list


def remedy_text(remedy: Remedy) -> tuple[FixKind, str]:
    """The kind of a remedy that was shown, and what to do."""
    match remedy:
        case LabelsFromZero(tensor):
            return "data", f"subtract 1 from `{tensor}`, which counts from 1"
        case NewWeights(weights, num_values, initializer):
            return "data", (
                f"{_finite_weights(weights[0], initializer)}: with new values in the place of the "
                f"{_bad_values(num_values)} of {names(weights, most=1)} this step is finite"
            )
        case EarlierWeights(weights, num_values, step):
            values = "value" if num_values == 1 else f"{num_values} values"
            return "data", (
                f"restore {names(weights, most=1)} from a checkpoint, and look at what writes to "
                "it between two steps, at the saved file and at the memory of the device: with the "
                f"{values} of step {step} this step is finite"
            )
        case StateOfSteps(name, first):
            return "data", (
                f"look at what writes to `{name}` between two steps, and at the memory of the "
                f"device: with the state that the steps from {first} on make, this step is finite"
            )
        case NewStatistics():
            return "data", (
                f"load or compute `{remedy.tensor}` again: with {statistics(remedy)} this step is "
                "finite"
            )
        case NewMomentum(layer, given, value):
            return "setting", (
                f"create `{layer}` with a momentum below 1, as {value:g}; it is {given:g}"
            )
        case WiderLayer(layer, dtype):
            which = "the layer" if layer is None else f"`{layer}`"
            return "setting", (
                f'create {which} with `dtype="float32"`: beyond the range of {dtype}, this step is '
                "finite"
            )
        case OptimizerSetting():
            return "setting", _setting(remedy)
        case OptimizerVariable():
            return "setting", _variable(remedy)
        case FromEarlierState(cure, first, num_steps):
            kind, text = _growth_remedy(cure)
            return kind, (
                f"{text}: {plural(num_steps, 'step')} from step {first} on are finite, and the "
                "loss does not grow"
            )
        case _:
            return libraries.remedy_text(remedy)


def at_fault_message(cause_message: str, at_fault: AtFault) -> str:
    """The message of a cause with what an experiment showed to be at fault."""
    match at_fault:
        case BadInitializer(weight, called):
            return (
                f"weight `{weight}` was created non-finite: its initializer `{called}` gives such "
                "values"
            )
        case NewMomentum(layer, given):
            return (
                f"{cause_message}; the momentum of `{layer}` is {given:g}, and has to be from 0 "
                "to 1"
            )
        case WiderLayer(dtype=dtype):
            if dtype != "float16":
                return cause_message
            return f"{cause_message}; {dtype} ends at {largest(dtype):.0f}"
        case OptimizerSetting():
            return f"{cause_message}; {_setting_at_fault(at_fault)} is at fault"


def leave_out(samples: tuple[int, ...]) -> str:
    """Advice to leave out samples without which the step is finite."""
    return f"leave {sample_list(samples)} of this batch out of the training, or repair the data"


def instead_of_library(called: str) -> str:
    """Advice for an op inside a library's layer or loss, whose source the user cannot edit."""
    return (
        f"replace `{called}`, which is not finite here, by your own function with that argument "
        "kept away from the point above"
    )


def _bad_values(num_values: int) -> str:
    return "bad value" if num_values == 1 else f"{num_values} bad values"


def _finite_weights(weight: str, initializer: BadInitializer | None) -> str:
    if initializer is not None:
        return f"make `{initializer.called}` give finite values for the shape {initializer.shape}"
    return f"load or initialize `{weight}` with finite values"


def _setting(setting: OptimizerSetting) -> str:
    if setting.name == "constraint":
        return (
            "leave the constraint out, or keep its divisor above 0: without it this step is finite"
        )
    if setting.name == "learning_rate":
        who = "the callback or setting that gave it"
        if setting.schedule is not None:
            who = _schedule(setting.schedule)
        wanted = as_given(dict(setting.values)["learning_rate"])
        rate = setting.given
        if rate is None or rate == 0 or not math.isfinite(rate):
            what = "a learning rate above 0" if rate == 0 else "a finite learning rate"
            return f"make {who} give {what}: with {wanted} this step is finite"
        if setting.schedule is not None:
            what = f"a lower learning rate than {as_given(rate)}"
            return f"make {who} give {what}: with {wanted} this step is finite"
        return (
            f"lower the learning rate of `{setting.optimizer}` from {as_given(rate)} to {wanted}: "
            "with it this step is finite"
        )
    given = " and ".join(f"`{name}={as_given(value)}`" for name, value in setting.values)
    return (
        f"create `{setting.optimizer}` with {given}, in the place of "
        f"`{setting.name}={as_given(setting.given)}`"
    )


def _setting_at_fault(setting: OptimizerSetting) -> str:
    if setting.name == "constraint":
        return "a constraint of the weights"
    if setting.name == "learning_rate":
        of = f"`{setting.optimizer}`"
        if setting.schedule is not None:
            of = _schedule(setting.schedule)
        return f"the learning rate {as_given(setting.given)} of {of}"
    return f"`{setting.name}={as_given(setting.given)}` of `{setting.optimizer}`"


def _schedule(called: str) -> str:
    return "the schedule" if called == "<lambda>" else f"`{called}`"


def _variable(variable: OptimizerVariable) -> str:
    if not variable.is_rate:
        return (
            f"do not write to `{variable.name}` of the optimizer: with {variable.value:g} in its "
            "place this step is finite"
        )
    given = "" if variable.given is None else f", {variable.given:g}"
    return (
        f"set the learning rate to a finite value: with {as_given(variable.value)} in the place of "
        f"`{variable.name}`{given} this step is finite"
    )


def _growth_remedy(remedy: GrowthRemedy) -> tuple[FixKind, str]:
    match remedy:
        case EarlierRate(before, now, source):
            rise = "the learning rate rise"
            if source is not None:
                rise = f"{_rate_source(source)} raise the learning rate"
            return "setting", (
                f"do not let {rise}: it was {number(before)} and became {number(now)}"
            )
        case LowerRate(times):
            return "setting", f"lower the learning rate to 1/{times} of what it is"
        case UsualRate(rate, given):
            return "setting", f"lower the learning rate from {number(given)} to {number(rate)}"
        case ClipFromStart(norm):
            return "setting", f"clip the gradients from the start, as with `clipnorm={norm:.1f}`"
        case ScaledData(arrays, _, top):
            named = " and ".join(f"`{name}`" for name in arrays[:2])
            return "data", f"scale {named}, which goes up to {number(top)}, to about 1"
        case NarrowWeights(weights, clipnorm):
            text = f"initialise {_first_of(weights)} with a smaller deviation, as `glorot_uniform` "
            text += "does"
            if clipnorm is not None:
                text += f", and clip the gradients with `clipnorm={clipnorm:.1f}`"
            return "setting", text


def _rate_source(source: RateSource) -> str:
    span = source.span
    place = "" if span is None else f"{Path(span.file).name}:{span.line}"
    if source.called is None:
        return place
    called = _schedule(source.called)
    return f"{called} ({place})" if place else called


def _first_of(weights: tuple[str, ...]) -> str:
    return names(weights, most=1)
