"""What the trials showed: what was not the cause, and what else keeps the step finite."""

from __future__ import annotations

from stayfinite.incident import Fix, Incident, Objection, Trial, TrialKind
from stayfinite.report.words import number, plural

# What a change of this kind tests. Other changes are named as they are.
_SUBJECTS = {
    TrialKind.LEARNING_RATE: "learning rate",
    TrialKind.CLIPNORM: "gradient size",
    TrialKind.CLIPVALUE: "gradient size",
    TrialKind.FLOAT64: "precision",
    TrialKind.SAMPLES: "those samples",
}

# With these causes a change that did not help on this one step may still be the cause: values that
# grew over many steps are not undone in one, and an unknown cause excludes no other.
_NOT_CLEARED = ("divergence", "unknown", "not-reproduced")


def not_the_cause(incident: Incident) -> str:
    """`not the cause: learning rate (/ 10), precision (float64): still non-finite with each`."""
    groups: dict[str, list[str]] = {}
    partly = _partly_finite(incident)
    for trial in incident.trials:
        is_still_bad = trial.outcome == "non-finite" and not trial.is_fix and trial not in partly
        if is_still_bad and not _keeps_rounded_epsilon(incident, trial):
            subject = _SUBJECTS.get(trial.kind)
            if subject is None:
                groups.setdefault(trial.change, []).append("")
            else:
                groups.setdefault(subject, []).append(trial.parameter or trial.change)
    if not groups:
        return ""
    subjects = [
        f"{subject} ({', '.join(changes)})" if any(changes) else subject
        for subject, changes in groups.items()
    ]
    each = "each" if sum(map(len, groups.values())) > 1 else "it"
    label = "did not help" if incident.cause.name in _NOT_CLEARED else "not the cause"
    return f"{label}: {', '.join(subjects)}: still non-finite with {each}"


def _keeps_rounded_epsilon(incident: Incident, trial: Trial) -> bool:
    """Whether a run in float64 says nothing of precision.

    A library rounds an epsilon to the dtype of the step before the step is widened.
    """
    return trial.kind == TrialKind.FLOAT64 and incident.cause.name == "epsilon-underflow"


def partly_finite(incident: Incident) -> str:
    """`loss and gradients finite, new state not: float64`."""
    changes = [trial.change for trial in _partly_finite(incident)]
    return f"loss and gradients finite, new state not: {', '.join(changes)}" if changes else ""


def _partly_finite(incident: Incident) -> list[Trial]:
    """The trials with finite loss and gradients, of a step whose loss or gradients were not."""
    spread = incident.spread
    if not spread.num_gradients_nonfinite and spread.is_loss_finite:
        return []
    return [t for t in incident.trials if t.non_finite == ("state",) and not t.is_fix]


def also_finite(incident: Incident) -> str:
    """`also finite: float64`: the changes, the fix apart, with which the step was finite."""
    changes = [
        trial.change for trial in incident.trials if trial.outcome == "finite" and not trial.is_fix
    ]
    label = "stays finite" if incident.fix is None else "also finite"
    return f"{label}: {', '.join(changes)}" if changes else ""


def not_tried(incident: Incident) -> str:
    """`could not be tried: float64`: the changes under which the step itself failed to run."""
    changes = [trial.change for trial in incident.trials if trial.outcome == "not-tried"]
    return f"could not be tried: {', '.join(changes)}" if changes else ""


def proof(incident: Incident) -> str:
    """How well the fix is proved: `verified: this step finite, 8 healthy steps unchanged`."""
    fix = incident.fix
    if fix is None:
        return ""
    ran = next((trial for trial in incident.trials if trial.is_fix), None)
    if fix.verified:
        return f"verified: {_verified(incident, ran)}"
    if ran is None or ran.outcome == "not-tried":
        return "not verified: this step was not run with it"
    if ran.outcome == "non-finite":
        return "not verified: this step was still non-finite with it"
    # A right value is no proof where a healthy step changed, or training did not go on.
    if fix.kind == "source" and fix.value not in ("exact", "bounded"):
        return _other_value(fix)
    why = fix.objection or "a healthy step was not shown unchanged"
    if fix.value == "exact" and fix.objection_kind is Objection.DOES_NOT_GO_ON:
        return f"not verified: this step has its {_value(fix)} with it, but {why}"
    return f"not verified: this step was finite with it, but {why}"


def _other_value(fix: Fix) -> str:
    """What an unverified fix does to the value of the step."""
    if fix.objection_kind is Objection.LACKS_GRADIENT:
        return f"not verified: {fix.objection}"
    if fix.value == "undefined":
        return "not verified: the formula is undefined here, so no fix has its value"
    if fix.value is None:
        return "not verified: the exact value of this step could not be computed"
    loss = "" if fix.loss is None else f": the {_which(fix)} of this step is {number(fix.loss)}"
    if fix.loss is not None and fix.reference_loss is not None:
        exact = number(fix.reference_loss)
        if number(fix.loss) == exact:
            return f"not verified{loss} as it should be, but a gradient differs from the exact one"
        loss += f", the exact one {exact}"
    return f"not verified: this changes the value{loss}"


def _which(fix: Fix) -> str:
    """Which loss it is, where a step has several."""
    return "loss" if fix.num_losses == 1 else f"last of {fix.num_losses} losses"


def _value(fix: Fix) -> str:
    """`exact value (loss 19.7)`; files of earlier versions have no value."""
    loss = "" if fix.loss is None else f" ({_which(fix)} {number(fix.loss)})"
    match fix.value:
        case "exact":
            return f"exact value{loss}"
        case "bounded":
            return f"the exact value has no room in this dtype and is bounded{loss}"
    return "this step finite"


def _verified(incident: Incident, ran: Trial | None) -> str:
    fix = incident.fix
    assert fix is not None
    if fix.kind == "source":
        value = _value(fix)
        if not incident.num_healthy_steps:
            return f"{value}; there was no healthy step to compare"
        steps = plural(incident.num_healthy_steps, "healthy step")
        part = "" if fix.is_whole_iteration else " up to the update that failed"
        rounded = "" if fix.is_healthy_equal else " but for roundings"
        return f"{value}, {steps} unchanged{rounded}{part}"
    if incident.cause.name == "divergence" and (ran is None or ran.kind != TrialKind.SAMPLES):
        return "the steps were made again with it, and nothing grew"
    match None if ran is None else ran.kind:
        case None | TrialKind.OTHER:
            return "this step finite with it"
        case TrialKind.SAMPLES:
            assert ran is not None
            return f"this step finite {ran.change}"
        case TrialKind.BATCH:
            assert ran is not None
            return f"this step finite with {ran.change}"
        case TrialKind.FLOAT64:
            return "this step finite in float64"
    return f"this step and those after it are finite{_in_float64(fix)}"


def _in_float64(fix: Fix) -> str:
    """`; its loss is 4.16, in float64 4.157`, where the loss of both is known."""
    if fix.loss is None or fix.reference_loss is None:
        return ""
    loss, reference = number(fix.loss), number(fix.reference_loss)
    if loss == reference:
        return f"; its loss of {loss} is that of float64"
    return f"; its loss is {loss}, in float64 {reference}"
