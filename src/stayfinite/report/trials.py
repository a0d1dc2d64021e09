"""What the trials showed: what was not the cause, and what else keeps the step finite."""

from __future__ import annotations

from stayfinite.incident import Fix, Incident, Trial
from stayfinite.report.words import plural

# What a reader suspected who would have tried this change, by a word of the change.
_SUBJECTS = (
    ("learning rate", "learning rate"),
    ("clip", "gradient size"),
    ("float", "precision"),
    ("without", "those samples"),
    ("half", "batch size"),
)

# With these causes a change that did not help on this one step is not thereby cleared: what grew
# over many steps is past help in the last, and without a cause nothing is known of the others.
_NOT_CLEARED = ("divergence", "unknown", "not-reproduced")


def is_fix(trial: Trial, fix: Fix | None) -> bool:
    """Whether `trial` ran the fix itself: replay names it so, or by the fix's text.

    A fix of the data is run as the step without the samples at fault.
    """
    if fix is None:
        return False
    without = fix.kind == "data" and trial.change.startswith("without sample")
    return without or trial.change in (fix.text, "with the fix")


def _was_run(trial: Trial) -> bool:
    # The contract has no third outcome: a trial that raised is marked in its detail.
    return not trial.detail.startswith("could not be tried")


def not_the_cause(incident: Incident) -> str:
    """`not the cause: learning rate (/ 10), precision (float64): still non-finite with each`."""
    groups: dict[str, list[str]] = {}
    for trial in incident.trials:
        claims = _was_run(trial) and not is_fix(trial, incident.fix)
        if trial.outcome == "non-finite" and claims:
            subject = _subject(trial.change)
            groups.setdefault(subject, []).append(trial.change.removeprefix(subject).strip())
    if not groups:
        return ""
    told = [
        f"{subject} ({', '.join(changes)})" if any(changes) else subject
        for subject, changes in groups.items()
    ]
    each = "each" if sum(map(len, groups.values())) > 1 else "it"
    label = "did not help" if incident.cause.name in _NOT_CLEARED else "not the cause"
    return f"{label}: {', '.join(told)}: still non-finite with {each}"


def _subject(change: str) -> str:
    for word, subject in _SUBJECTS:
        if word in change.lower():
            return subject
    return change


def also_finite(incident: Incident) -> str:
    """`also finite: float64`: the changes, the fix apart, with which the step was finite."""
    changes = [
        trial.change
        for trial in incident.trials
        if trial.outcome == "finite" and not is_fix(trial, incident.fix)
    ]
    if changes and _is_followed(incident):
        changes.pop()  # the remedies end with the one that was proved
    label = "stays finite" if incident.fix is None else "also finite"
    return f"{label}: {', '.join(changes)}" if changes else ""


def _is_followed(incident: Incident) -> bool:
    """Whether the fix is a remedy with which training went on for a few steps."""
    fix = incident.fix
    if fix is None or not fix.verified or fix.kind == "source":
        return False
    return not any(is_fix(trial, fix) for trial in incident.trials)


def not_tried(incident: Incident) -> str:
    """`could not be tried: float64`: the changes under which the step itself failed to run."""
    changes = [trial.change for trial in incident.trials if not _was_run(trial)]
    return f"could not be tried: {', '.join(changes)}" if changes else ""


def proof(incident: Incident) -> str:
    """How well the fix is proved: `verified: this step finite, 8 healthy steps unchanged`."""
    fix = incident.fix
    if fix is None:
        return ""
    ran = [trial for trial in incident.trials if is_fix(trial, fix) and _was_run(trial)]
    if fix.verified:
        if incident.cause.name == "divergence" and fix.kind != "source":
            return "verified: the steps were made again with it, and nothing grew"
        if _is_followed(incident):
            return "verified: this step and those after it are finite"
        if fix.kind == "data" and ran and ran[-1].change == fix.text:
            return "verified: this step and those after it are finite"
        if fix.kind == "data":  # the healthy steps do not hold the samples at fault
            return f"verified: this step finite {ran[-1].change if ran else 'with it'}"
        if not incident.num_healthy_steps:
            return "verified: this step finite; there was no healthy step to compare"
        steps = plural(incident.num_healthy_steps, "healthy step")
        return f"verified: this step finite, {steps} unchanged"
    if not ran:
        return "not verified: this step was not run with it"
    if ran[-1].outcome == "non-finite":
        return "not verified: this step was still non-finite with it"
    return "not verified: this step was finite with it, but a healthy step was not shown unchanged"
