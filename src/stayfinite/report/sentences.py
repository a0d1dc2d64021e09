"""The facts of the middle block, one function a line; an empty string means nothing to say."""

from __future__ import annotations

import math

from stayfinite.incident import Incident
from stayfinite.report import words


def when(incident: Incident) -> str:
    """`step 812 (epoch 3, batch 45), backward; loss was finite (1.98)`."""
    where = incident.where
    known = [
        f"{name} {value}"
        for name, value in (("epoch", where.epoch), ("batch", where.batch))
        if value is not None
    ]
    inside = f" ({', '.join(known)})" if known else ""
    return f"step {where.step}{inside}, {where.phase}; loss was {_loss(incident.spread.loss)}"


def _loss(text: str) -> str:
    try:
        value = float(text)
    except ValueError:  # not a number at all, as when the step ended before it had a loss
        return text or "not computed"
    return f"finite ({words.number(value)})" if math.isfinite(value) else text


def certainty(incident: Incident) -> str:
    """A claim that no trial confirmed is called what it is."""
    cause = incident.cause
    if cause.certainty == "confirmed" or cause.name in ("unknown", "not-reproduced"):
        return ""
    return f"certainty: {cause.certainty}; no fix for it was proved on this step"


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
        parts.append(f"first in {words.names(found.first)}")
    return ", ".join(parts)


def weights(incident: Incident) -> str:
    """What became of the weights. In the past tense: the report is read again days later."""
    kept = incident.kept
    if incident.cause.name == "bad-weights" and incident.origin.tensor is not None:
        text = "the update was not applied; no good weights exist, these came in non-finite"
        return f"{text}; as they came: {kept.weights}" if kept.weights else text
    those = "the initial weights" if kept.step < 0 else f"the weights of step {kept.step}"
    also = f", also in {kept.weights}" if kept.weights else ""
    return f"the update was not applied; the model kept {those}{also}"
