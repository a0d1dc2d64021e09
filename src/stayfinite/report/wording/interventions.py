"""Interventions in words: one line for each, and the notice before an explanation."""

from __future__ import annotations

from collections.abc import Sequence

from stayfinite.incident import Incident, Intervention
from stayfinite.report.words import file_and_line, plural, sample_list, step_in_words

SKIPPED = "the step is left out"
INTERRUPTED = "its explanation was interrupted"
NO_SOURCE_FIX = "no source fix was proved to have the right value"
NOT_IN_PLACE = (
    "the fix that was found cannot be made in the running program: it changes what the model "
    "returns, or code that runs only once"
)
NO_REMEDY = "no remedy was proved that can be applied to a running training"


def working(step: int) -> str:
    """The notice before an explanation, which takes seconds."""
    return f"step {step} is non-finite; looking for its cause"


def line(incident: Incident, made: Intervention) -> str:
    """`step 12 (epoch 0, batch 12) was non-finite (bad-input, loss nan): the step is left out`."""
    known = [] if incident.cause.name == "unknown" else [made.cause]
    known += [f"loss {incident.spread.loss}"] if incident.spread.num_gradients else []
    cause = f" ({', '.join(known)})" if known else ""
    kept = f"; incident: {incident.kept.incident}" if incident.kept.incident else ""
    return f"{step_in_words(made)} was non-finite{cause}: {made.action}{kept}"


def ends(policy: str, reason: str) -> str:
    """The notice where a training ends although its policy could have let it go on."""
    return f"the policy {policy} ends the training after a non-finite step: {reason}"


def too_many_in_a_row(num_steps: int) -> str:
    """Why a training ends after bad steps in a row."""
    return f"{plural(num_steps, 'bad step')} in a row"


def too_many(num_interventions: int) -> str:
    """Why a training ends after many interventions."""
    return f"{plural(num_interventions, 'intervention')} were made before"


def shown(incident: Incident, made: Intervention) -> str:
    """`line`, and the diff of a repair."""
    return line(incident, made) if made.diff is None else f"{line(incident, made)}\n{made.diff}"


def repaired(incident: Incident) -> str:
    """What a repair did."""
    assert incident.fix is not None
    origin = incident.origin
    place = "" if origin.file is None else f" at {file_and_line(origin)}"
    return f"the running program is repaired{place}, and the step is made again"


def left_out(samples: tuple[int, ...]) -> str:
    """What was done about samples at fault."""
    return f"the step is made again without {sample_list(samples, None)}"


def made_again(incident: Incident) -> str:
    """What was done about a step that was bad once."""
    again = incident.recurrence
    assert again is not None
    return f"the step is made again: it was finite in {again.num_reruns} of {again.num_reruns} runs"


def made_again_from(step: int) -> str:
    """What was done about a state that was changed between two steps."""
    return f"the steps from {step} on are made again from the state before them, without the change"


def rolled_back(incident: Incident, step: int) -> str:
    """What was done with a setting."""
    remedy = "" if incident.fix is None else f" ({incident.fix.text})"
    last = incident.where.step - 1
    if step > last:
        return f"the step is made again from the state before it, with the remedy{remedy}"
    undone = f"step {step} is" if step == last else f"steps {step} to {last} are"
    return f"{undone} undone, and training goes on with this batch and the remedy{remedy}"


def repairs(made: Sequence[Intervention]) -> str:
    """The diffs of all repairs, for the end of a training; empty without one."""
    diffs = [one.diff for one in made if one.diff is not None]
    if not diffs:
        return ""
    number = plural(len(diffs), "repair")
    return f"{number} made in the running program; apply to the source:\n" + "\n".join(diffs)
