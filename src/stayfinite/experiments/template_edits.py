"""The edits of the failing expression by templates, from the facts of a diagnosis."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.facts.expressions import (
    EmptyCount,
    ExtremeOfNothing,
    OutsideDomain,
    SingularMatrix,
)
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.locate import Diagnosis
from stayfinite.diagnose.values import as_float
from stayfinite.graph.graph import Graph, Op
from stayfinite.graph.walk import unwrapped, upstream
from stayfinite.numerics.dtypes import HALF, spacing
from stayfinite.numerics.functions import STRUCTURAL, Interval, RealPower
from stayfinite.repair import (
    MECHANISMS,
    Facts,
    Patch,
    Remade,
    SourceFile,
    TemplateEdit,
    candidates,
    expression_at,
    proposals,
    remade,
)

_MAX_CANDIDATES = 6
# Ops between a cast and the layer that made its operand.
_NEAREST = 8
_KEEPS_COUNTS = STRUCTURAL | {"sqrt", "square", "power"}


def template_edits(patch: Patch, diagnosis: Diagnosis) -> list[tuple[TemplateEdit, Remade | None]]:
    """Edits of the file as patched so far, each with the library object that it makes again."""
    op, mechanism = edited_op(diagnosis), diagnosis.finding.mechanism
    span = None if op is None else op.span
    if op is None or span is None or mechanism is None:
        return []
    owner = None if op.stack else op.owner
    # An object of a library was made before the edits of this patch; other spans are of code that
    # has them.
    line = span.line if owner is None else patch.line_now(span.line)
    if line is None:
        return []
    now = dataclasses.replace(span, line=line, end_line=span.end_line + line - span.line)
    expression = expression_at(patch.source, now)
    if expression is None:
        return []
    facts = _facts(diagnosis)
    objects = [] if owner is None else proposals(expression, owner, mechanism, facts.dtype)
    if objects:
        return list(objects)
    # The op at fault may be an inner one of a library function whose repair is another mechanism's.
    # Float32 is no change to an op that is not in half precision.
    others = [m for m in MECHANISMS if m != "half-overflow" or facts.dtype in HALF]
    for name in dict.fromkeys((mechanism, *others)):
        found = candidates(expression, name, facts)
        if found and owner is not None:
            objects = remade(expression, owner, found)
            if objects:
                return list(objects[:_MAX_CANDIDATES])
        if found:
            return [(edit, None) for edit in found[:_MAX_CANDIDATES]]
    return []


def positive_output(diagnosis: Diagnosis) -> list[tuple[TemplateEdit, Remade]]:
    """Activations that keep the operand at fault positive, where a layer gives it."""
    evidence, critical = diagnosis.evidence, diagnosis.finding.critical
    if critical is None or not _has_no_value_below_0(diagnosis):
        return []
    maker = evidence.trace.producer.get(unwrapped(evidence.trace, critical.value, STRUCTURAL))
    if maker is None or maker.owner is None or maker.stack or maker.span is None:
        return []
    try:
        expression = expression_at(SourceFile.of(maker.span.file), maker.span)
    except (OSError, SyntaxError, UnicodeError):
        return []
    return (
        [] if expression is None else proposals(expression, maker.owner, "out-of-domain", "float32")
    )


def _has_no_value_below_0(diagnosis: Diagnosis) -> bool:
    """Whether the function at fault has values at all positive numbers and failed at others."""
    match diagnosis.finding.facts:
        case (
            OutsideDomain(domain=RealPower())
            | OutsideDomain(domain=Interval(low=0.0, high=math.inf))
        ):
            return True
    return False


def edited_op(diagnosis: Diagnosis) -> Op | None:
    """The op whose expression, or whose object of a library, is edited."""
    op, finding = diagnosis.evidence.forward_op, diagnosis.finding
    if op is None or finding.mechanism is None:
        return None
    if finding.mechanism == "half-overflow" and finding.op == "cast":
        return _maker_of_half(diagnosis.evidence.trace, op) or op
    return op


def _maker_of_half(trace: Graph, op: Op) -> Op | None:
    """The op of a library's layer whose result is made wider where `op` is; None for another's.

    The gradient of what is made wider has to fit into half precision again, so the layer itself
    has to be wider.
    """
    for cast in trace.ops:
        here = cast.name == "cast" and cast.phase == "forward" and cast.span == op.span
        if not here or trace.values[cast.operands[0]].dtype not in HALF:
            continue
        makers = upstream(trace, cast.operands[0], max_ops=_NEAREST)
        maker = next((o for o in makers if o.layer is not None and o.layer != cast.layer), None)
        if maker is not None and maker.owner is not None and not maker.stack:
            return maker
    return None


def _facts(diagnosis: Diagnosis) -> Facts:
    evidence, finding = diagnosis.evidence, diagnosis.finding
    match finding.facts:
        case ExtremeOfNothing(result):
            return dataclasses.replace(_of_operand(evidence, finding), infinity=result)
        case EmptyCount(is_whole=is_whole):
            return dataclasses.replace(_of_operand(evidence, finding), is_whole=is_whole)
        case SingularMatrix() as matrix:
            return Facts(matrix.dtype, shift=_shift(matrix))
        case _:
            return _of_operand(evidence, finding)


def _shift(matrix: SingularMatrix) -> int:
    """The exponent of what moves the smallest eigenvalue above the roundings of the largest."""
    # A matrix of zeros has no scale.
    rounding = matrix.num_rows * spacing(matrix.dtype) * (matrix.largest or 1.0)
    return math.ceil(math.log10(2 * rounding + max(-matrix.smallest, 0.0)))


def _of_operand(evidence: Evidence, finding: Finding) -> Facts:
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
