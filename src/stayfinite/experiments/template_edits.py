"""The edits of the failing expression by templates, from the facts of a diagnosis."""

from __future__ import annotations

import numpy as np

from stayfinite.diagnose.locate import Diagnosis
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Graph
from stayfinite.graph.walk import unwrapped
from stayfinite.numerics.functions import STRUCTURAL
from stayfinite.repair import (
    MECHANISMS,
    Edit,
    Facts,
    Patch,
    Remade,
    RepairError,
    TextSpan,
    candidates,
    find_expression,
    proposals,
    remade,
)

_MAX_CANDIDATES = 6
_KEEPS_COUNTS = STRUCTURAL | {"sqrt", "square", "power"}


def template_edits(patch: Patch, diagnosis: Diagnosis) -> list[tuple[Edit, Remade | None]]:
    """Edits of the file as patched so far, each with the library object that it makes again."""
    op, mechanism = diagnosis.evidence.forward_op, diagnosis.finding.mechanism
    span = None if op is None else op.span
    if span is None or mechanism is None:
        return []
    place = TextSpan(span.line, span.column, span.end_line, span.end_column)
    try:
        expression = find_expression(patch.source, place)
    except RepairError:
        return []
    facts = _facts(diagnosis)
    owner = None if op is None or op.stack else op.owner
    objects = [] if owner is None else proposals(expression, owner, mechanism, facts.dtype)
    if objects:
        return [(made.edit, made) for made in objects]
    # The op at fault may be an inner one of a library function whose repair is another mechanism's.
    for name in (mechanism, *(m for m in MECHANISMS if m != mechanism)):
        found = candidates(expression, name, facts)
        if found and owner is not None:
            objects = remade(expression, owner, found)
            if objects:
                return [(made.edit, made) for made in objects[:_MAX_CANDIDATES]]
        if found:
            return [(edit, None) for edit in found[:_MAX_CANDIDATES]]
    return []


def _facts(diagnosis: Diagnosis) -> Facts:
    evidence, finding = diagnosis.evidence, diagnosis.finding
    op = evidence.forward_op
    if op is None or not op.operands:
        return Facts()
    value = op.operands[min(finding.operand, len(op.operands) - 1)]
    array = as_float(evidence.values[value])
    finite = array[np.isfinite(array)]
    dtype = evidence.trace.values[value].dtype
    if not finite.size:
        return Facts(dtype)
    counts = _is_a_count(evidence.trace, value)
    return Facts(dtype, float(finite.min()), float(finite.max()), counts)


def _is_a_count(trace: Graph, value: int) -> bool:
    """Whether `value` is an integer, or a root or power of one."""
    source = unwrapped(trace, value, _KEEPS_COUNTS)
    return trace.values[source].dtype.startswith(("int", "uint"))
