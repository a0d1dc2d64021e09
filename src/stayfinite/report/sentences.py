"""The facts of a report, one function a line; an empty string if there is nothing to say."""

from __future__ import annotations

import math

from stayfinite.incident import Incident, Incoming, Origin
from stayfinite.report import words
from stayfinite.report.lines import clean_name, clip, clip_start
from stayfinite.report.source_lines import character_column

_TENSOR_NOUNS = {
    "bad-input": "input",
    "bad-target": "target",
    "bad-weights": "weight",
    "bad-statistics": "statistic",
}


def place(incident: Incident, width: int) -> str:
    """`train.py:14:17 in triplet_loss, layer `siamese/triplet``, as far as each part is known."""
    origin = incident.origin
    parts = [_tensor(incident)] if origin.tensor is not None else []
    if origin.layer is not None:
        parts.append(f"layer `{origin.layer}`")
    if origin.file is not None:
        parts.insert(0, _file(origin, incident.source_line, width) + _function(origin.function))
    elif origin.samples:
        parts.append(words.sample_list(origin.samples, incident.num_rows))
    if not parts and incident.cause.name == "not-reproduced":
        again = incident.recurrence
        if again is not None and again.num_bad:
            return "no line, for a replay was finite"
        return "no line, for no replay was non-finite"
    if not parts:
        return f"`{origin.op}`, no line of yours" if origin.op else "no line of yours is known"
    return ", ".join(parts)


def _tensor(incident: Incident) -> str:
    noun = _TENSOR_NOUNS.get(incident.cause.name, "tensor")
    if incident.origin.op == Incoming.SAMPLE_WEIGHT:  # the one of a `bad-target` that is no target
        noun = "sample weight"
    return f"{noun} `{incident.origin.tensor}`"


def _file(origin: Origin, source_line: str | None, width: int) -> str:
    """`file:line:column`, both from 1 as editors count, so that a terminal can open it.

    The place in a cell is named as notebooks name it.
    """
    if words.is_cell(origin):
        return clip(words.file_and_line(origin), width)
    position = ""
    if origin.line is not None:
        position = f":{origin.line}"
        if origin.column is not None:
            column = origin.column
            if source_line is not None:
                column = character_column(source_line, column)
            position += f":{column + 1}"
    return clip_start(clean_name(origin.file or ""), width - len(position)) + position


def _function(name: str | None) -> str:
    if not name or name == "<module>":
        return ""
    last = name.rsplit(".", 1)[-1]
    if last == "<lambda>":
        return " in a lambda"
    if last in ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"):
        return " in a comprehension"
    return f" in {name}"


def label(incident: Incident) -> str:
    """What the marked expression did, and for which samples.

    The rule's own arithmetic (`1 / (2 * sqrt(0)) = inf`) when there is one; else the bare facts.
    """
    origin = incident.origin
    # The place may already name the samples.
    samples = words.samples_affected(incident) if origin.file is not None else ""
    if incident.arithmetic:
        return f"{incident.arithmetic} for {samples}" if samples else incident.arithmetic
    facts = words.operands(origin.operands)
    if facts and origin.op and origin.tensor is None:
        verb = "gradient of" if incident.where.phase == "backward" else "result of"
        facts = f"{verb} `{origin.op}` on {facts}"
    # A label out of range is bad, but finite.
    verdict = "non-finite for" if origin.tensor is None else "bad in"
    parts = [facts, f"{verdict} {samples}" if samples else ""]
    return ", ".join(part for part in parts if part)


def when(incident: Incident) -> str:
    """`step 812 (epoch 3, batch 45), backward; loss was finite (1.98)`."""
    where = incident.where
    return f"{words.step_in_words(where)}, {where.phase}; loss was {_loss(incident.spread.loss)}"


def _loss(text: str) -> str:
    try:
        value = float(text)
    except ValueError:  # not a number at all, as when the step ended before it had a loss
        return text or "not computed"
    return f"finite ({words.number(value)})" if math.isfinite(value) else text


def certainty(incident: Incident) -> str:
    """The certainty of a cause that no trial confirmed."""
    cause = incident.cause
    if cause.certainty == "confirmed" or cause.name in ("unknown", "not-reproduced"):
        return ""
    return f"certainty: {cause.certainty}; no fix for it was proved on this step"


def made_again(incident: Incident) -> str:
    """What was run to make the step again, and whether it was the step of the training."""
    return incident.made_again or ""


def spread(incident: Incident) -> str:
    """How many gradients are non-finite and which tensor was the first."""
    found = incident.spread
    gradients = words.plural(found.num_gradients, "gradient")
    parts = []
    if found.num_gradients_nonfinite:
        parts.append(f"nan or inf in {found.num_gradients_nonfinite} of {gradients}")
    elif found.num_gradients:
        parts.append(f"no nan or inf in {gradients}")
    if found.first:
        if parts and not found.num_gradients_nonfinite:
            parts.append("but in the new state")
        parts.append(f"first in {words.names(found.first)}")
    return ", ".join(parts)


def weights(incident: Incident) -> str:
    """What happened to the weights; in the past tense, since the report may be read days later."""
    kept = incident.kept
    if incident.intervention is not None:
        return f"the update was not applied; {incident.intervention.action}"
    came_in = any(operand.num_nonfinite for operand in incident.origin.operands)
    if incident.cause.name == "bad-weights" and incident.origin.tensor is not None and came_in:
        if incident.where.step > 0:
            return "the update was not applied; the weights were non-finite before it"
        return "the update was not applied; no good weights exist, these came in non-finite"
    those = "the initial weights" if kept.step < 0 else f"the weights of step {kept.step}"
    if kept.applied:
        where = f"are in {kept.weights}" if kept.weights else "could not be kept"
        return f"the update was applied before it was seen; {those} {where}"
    also = f", also in {kept.weights}" if kept.weights else ""
    return f"the update was not applied; the model kept {those}{also}"
