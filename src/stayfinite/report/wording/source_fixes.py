"""Source fixes in words: what they do, why one is not verified, and what else to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from stayfinite.experiments.fix_search import FixSearch
from stayfinite.experiments.moved_activation import MovedActivation
from stayfinite.experiments.patch_search import Form
from stayfinite.experiments.rewritings import RewrittenFormula
from stayfinite.experiments.source_fix import Description, SourceFix
from stayfinite.experiments.try_change import NotTried
from stayfinite.incident import Objection
from stayfinite.repair import TemplateFact
from stayfinite.report.wording.edits import template
from stayfinite.report.wording.trials import not_tried
from stayfinite.report.words import names, number

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
            # The value is proved for this step; another step may have several such operands.
            text = (
                "keep the operand inside the range of the function: beyond the bound all are equal"
            )
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


def far_above() -> str:
    """What a loss far from that of healthy steps means for the training."""
    return (
        "the update of such a loss may leave moments that stop the learning; without the samples "
        "at fault the training goes on as before"
    )


def far_gradients() -> str:
    """What gradients far above those of healthy steps mean for the training."""
    return (
        "an update by such gradients may end the training; without the samples at fault it goes "
        "on as before"
    )


def _left(fix: SourceFix) -> str:
    """What the fix leaves as it is: sizes, gradients that half precision moves, a line."""
    text = ""
    if fix.is_far_above and fix.loss is not None:
        where = "below" if fix.loss < 0 else "above"
        text += f"; the loss of {number(fix.loss)} is far {where} that of any healthy step"
    elif fix.far_gradients is not None:
        times = f"{fix.far_gradients:.0e}"
        text += f"; gradients are {times} times those of any healthy step"
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
