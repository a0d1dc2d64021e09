"""Where it happened: the line after the arrow, and what stands behind the carets."""

from __future__ import annotations

import re

from stayfinite.incident import Incident, Origin
from stayfinite.report import words
from stayfinite.report.cells import clean_name, clip_start
from stayfinite.report.excerpt import character_column

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
        return "no line, for no replay was non-finite"
    if not parts:
        return f"`{origin.op}`, no line of yours" if origin.op else "no line of yours is known"
    return ", ".join(parts)


def _tensor(incident: Incident) -> str:
    noun = _TENSOR_NOUNS.get(incident.cause.name, "tensor")
    return f"{noun} `{incident.origin.tensor}`"


def _file(origin: Origin, source_line: str | None, width: int) -> str:
    """`file:line:column`, both from 1 as editors count, so that a terminal can open it."""
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
    # Where the place names the samples already, they are not said twice.
    samples = words.samples_affected(incident) if origin.file is not None else ""
    if incident.arithmetic:
        # A rule may count the samples; which ones they are is said here.
        said = incident.arithmetic.removesuffix(f" for {samples.split(' (')[0]}")
        told = not samples or re.search(r"\bsamples?\b", said)
        return said if told else f"{said} for {samples}"
    facts = words.operands(origin.operands)
    if facts and origin.op and origin.tensor is None:
        verb = "gradient of" if incident.where.phase == "backward" else "result of"
        facts = f"{verb} `{origin.op}` on {facts}"
    # A label out of range is bad, but finite.
    verdict = "non-finite for" if origin.tensor is None else "bad in"
    parts = [facts, f"{verdict} {samples}" if samples else ""]
    return ", ".join(part for part in parts if part)
