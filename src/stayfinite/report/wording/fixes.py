"""Fixes in words, and the messages of causes that a remedy made clear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
from stayfinite.experiments.fix_search import FixSearch
from stayfinite.experiments.moved_activation import MovedActivation
from stayfinite.experiments.patch_search import Form
from stayfinite.experiments.remedies.try_remedy import AtFault
from stayfinite.experiments.rewritings import RewrittenFormula
from stayfinite.experiments.source_fix import Description, SourceFix
from stayfinite.experiments.try_change import NotTried
from stayfinite.incident import FixKind, Objection
from stayfinite.numerics.dtypes import largest
from stayfinite.repair import TemplateFact
from stayfinite.report.wording import libraries
from stayfinite.report.wording.edits import template
from stayfinite.report.wording.trials import not_tried, statistics
from stayfinite.report.words import as_given, names, number, plural, sample_list

# Functions worth naming; others are arithmetic.
_NAMED = frozenset(
    "arctan2 erfc expm1 hypot lgamma log1p log_ndtr log_sigmoid log_softmax logaddexp logsumexp"
    " norm sigmoid softmax softplus tanh where xlogy".split()
)


_FORMS = {
    Form.REWRITING: "other forms of the formula",
    Form.MOVED_ACTIVATION: "forms without the last activation of the network",
    Form.LAST_RESORT: "float64 for a part, bounds of the operand",
    Form.FLOAT32: "float32 for a part",
    Form.TEMPLATE: "usual edits, as a bound or a larger epsilon",
}

_OBJECTIONS = {
    Objection.CHANGES_HEALTHY_STEPS: "the fix changes what healthy steps compute",
    Objection.DOES_NOT_GO_ON: "the steps after it are non-finite, or their loss grows",
    Objection.FAILS_COMPILED: (
        "the step compiled as one program is not finite with it, only op by op"
    ),
    Objection.HAS_NO_ROOM: "a value that it casts to float32 is near the end of half precision",
    Objection.LACKS_GRADIENT: "the exact gradient is infinite here, so no fix has it",
    # Of a bound whose loss no exact value explains.
    Objection.IS_BEYOND_EXACT: (
        "the exact loss is infinite, and with this bound it is far from every healthy one"
    ),
}


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


def source_text(fix: SourceFix, op: str) -> str:
    """What the edits of a source fix do; of a formula without a value, what to check first.

    Args:
        fix: The fix.
        op: The operation at fault.
    """
    text = _edits(fix.descriptions) + _left(fix)
    if fix.value != "undefined":
        return text
    what = "an infinite gradient" if fix.judged.lacks_gradient else "no value"
    check = f"check what `{op}` is given: it has {what} there"
    if fix.operand is not None:
        check = f"check `{fix.operand}`: `{op}` has {what} there"
    condition = "it is as intended" if fix.guard is None else "it has to be positive"
    return f"{check}. If {condition}: {text}"


def instead(fix: SourceFix, op: str) -> tuple[str, ...]:
    """What else to do where a formula has no value at what a network gives; the guard last."""
    if fix.guard is None:
        return ()
    text = _edits(fix.guard.descriptions)
    added = [line[1:].strip() for line in fix.guard.diff.splitlines()[2:] if line[0] == "+"]
    guard = f"or only {text}, as in `{added[-1]}`: its gradient is 0 there"
    if op == "power":
        guard = f"or, if its sign counts, the power of its size times its sign; {guard}"
    return (guard,)


def _edits(edits: Iterable[Description]) -> str:
    """What the edits do; one that is made at several places is told once."""
    told = Counter((_edit(edit), isinstance(edit, TemplateFact)) for edit in edits)
    return "; ".join(
        f"{text} ({number} places)" if number > 1 and is_whole else text
        for (text, is_whole), number in told.items()
    )


def _edit(edit: Description) -> str:
    match edit:
        case RewrittenFormula():
            return rewritten(edit)
        case MovedActivation(op=op, layer=layer):
            removed = op if layer is None else f"{op} of the `{layer}` layer"
            return (
                f"remove the {removed}, so that the network gives its operand (for predictions "
                f"apply the {op} to what it returns)"
            )
        case TemplateFact():
            return template(edit)


def rewritten(edit: RewrittenFormula) -> str:
    """What a rewritten formula does, and what it assumes."""
    match edit.method:
        case "float64":
            text = "compute this part in float64"
        case "bound":
            text = "keep the operand inside the range of the function"
        case "identity":
            new = [name for name in edit.functions if name in _NAMED]
            text = "write the formula in another form with the same value"
            if new:
                text = f"write the formula with {names(tuple(new), most=3)}"
    if edit.num_places > 1:
        text += f" ({edit.num_places} places)"
    for operand, claim in edit.assumptions:
        text += f"; right as long as `{operand}` is {claim}, as in every recorded batch"
    for name, value in edit.values:
        text += f"; right for `{name}` = {value:g} only"
    return text


def objection(fix: SourceFix) -> str:
    """Why a source fix is not verified; empty where it is, or where that is its value."""
    match fix.objection:
        case None:
            return ""
        case Objection.NOT_TRIED if fix.trouble is not None:
            return trouble(fix.trouble)
        case Objection.IS_NOT_FOLLOWED if fix.unfollowed is not None:
            use = fix.unfollowed
            place = f"{use.path}:{use.line}"
            return f"what else reads the network is not known, because of `{use.text}` at {place}"
        case known:
            return _OBJECTIONS[known]


def trouble(why: Objection | NotTried) -> str:
    """Why training does not go on with a source fix as before."""
    if isinstance(why, NotTried):
        return f"the fix could not be tried: {not_tried(why)}"
    return _OBJECTIONS[why]


def far_above(fix: SourceFix) -> str:
    """What the loss of a bounded step means for the training."""
    loss = "" if fix.loss is None else f" of {number(fix.loss)}"
    where = "below" if fix.loss is not None and fix.loss < 0 else "above"
    return (
        f"a loss{loss} is far {where} that of any healthy step, and may leave moments that stop "
        "the learning; without the samples at fault the training goes on as before"
    )


def far_gradients(times: float) -> str:
    """What the gradients of a step with a fix mean for the training."""
    return (
        f"with this fix, gradients of this step are {times:.0e} times those of any healthy step, "
        "and its update may end the training; without the samples at fault it goes on as before"
    )


def _left(fix: SourceFix) -> str:
    """What the fix leaves as it is: gradients that half precision moves, a line for a metric."""
    text = ""
    if fix.has_rounded_gradients:
        text += (
            "; half precision in the rest of the step leaves gradients up to "
            f"{fix.gradient_error:.1g} times their largest element away from those of float64"
        )
    if fix.bad_line is not None:
        text += (
            f"; line {fix.bad_line} of the patched file still makes the bad value, so that what "
            "the step logs of it stays non-finite"
        )
    return text


def left_out(search: FixSearch) -> str:
    """What a search that reached its limit did not try."""
    forms = "; ".join(_FORMS[form] for form in search.left_out)
    return (
        f"the search for a fix ended at its limit of {search.seconds:.0f} s of processor time or "
        f"{search.seconds_by_clock:.0f} s by the clock; not all tried: {forms}"
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
        value = dict(setting.values)["learning_rate"]
        return f"make {who} give a finite learning rate: with {as_given(value)} this step is finite"
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
