"""Edits that compute more of a step in float32 than the one operation that half precision fails at.

What is rounded before that operation is lost to it: a sigmoid that is 0, a log-variance that has
three digits. So the operations before it are made wider, too, or the whole layer.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from stayfinite.diagnose.locate import Diagnosis
from stayfinite.experiments.template_edits import edited_op
from stayfinite.frameworks.step import Step
from stayfinite.graph.graph import Graph, Op, Span
from stayfinite.graph.object_sites import site_of
from stayfinite.graph.walk import upstream
from stayfinite.numerics.dtypes import HALF
from stayfinite.numerics.functions import STRUCTURAL, row
from stayfinite.repair import (
    Facts,
    Remade,
    SourceFile,
    TemplateEdit,
    candidates,
    expression_at,
    proposals,
)

_MAX_EDITS = 3  # of the operation itself
_MAX_PLACES = 4  # of operations before it
_MAX_LAYERS = 2
_MAX_OPS = 60
_MECHANISM = "half-overflow"


def half_of(diagnosis: Diagnosis) -> str | None:
    """The half-precision dtype that the op at fault reads or makes; None where it does neither."""
    op = diagnosis.evidence.forward_op
    return None if op is None else _half(diagnosis.evidence.trace, op)


def wider_edits(
    source: SourceFile, step: Step, diagnosis: Diagnosis
) -> Iterator[tuple[TemplateEdit, Remade | None]]:
    """Edits of `source`, each with the object that it makes again."""
    op, trace = edited_op(diagnosis), diagnosis.evidence.trace
    if op is None:
        return
    dtype = _half(trace, op)
    if dtype is None:
        return
    facts = Facts(dtype)
    before = _places_before(trace, op, source.path)
    # What a function has rounded to a number that it only approaches cannot be undone after it.
    first = [span for span, is_approached in before.items() if is_approached]
    rest = [span for span in before if span not in first]
    for span in first[:_MAX_PLACES]:
        for edit in _edits(source, span, facts)[:1]:
            yield edit, None
    if diagnosis.finding.mechanism != _MECHANISM and op.stack and op.span is not None:
        for edit in _edits(source, op.span, facts)[:_MAX_EDITS]:
            yield edit, None
    for span in rest[:_MAX_PLACES]:
        for edit in _edits(source, span, facts)[:1]:
            yield edit, None
    for owner, site in _layers(step, op):
        expression = expression_at(source, site) if site.file == source.path else None
        if expression is not None:
            yield from proposals(expression, owner, _MECHANISM, dtype)


def _half(trace: Graph, op: Op) -> str | None:
    dtypes = [trace.values[value].dtype for value in (*op.operands, *op.results)]
    return next((dtype for dtype in dtypes if dtype in HALF), None)


def _places_before(trace: Graph, op: Op, path: str) -> dict[Span, bool]:
    """Where the operands of `op` are computed in half precision, the nearest place first.

    With each, whether a function there only approaches what it may be rounded to.
    """
    found: dict[Span, bool] = {}
    for operand in op.operands:
        for maker in upstream(trace, operand, max_ops=_MAX_OPS):
            span = maker.span
            if not maker.stack or span is None or span == op.span:
                continue
            if maker.name in STRUCTURAL and maker.name != "cast":
                continue
            if span.file == path and _half(trace, maker) is not None:
                found[span] = found.get(span, False) or bool(row(maker.name).approached)
    return found


def _layers(step: Step, op: Op) -> Iterator[tuple[object, Span]]:
    """The layer of the user's own class that has `op`; those that made its operands."""
    trace, seen = step.trace, set[int]()
    layer = None if op.layer is None else step.subject.layer(op.layer)
    site = None if layer is None else site_of(layer)
    if layer is not None and site is not None and _takes_dtype(type(layer)):
        seen.add(id(layer))
        yield layer, site
    for operand in op.operands:
        for maker in upstream(trace, operand, max_ops=_MAX_OPS):
            owner, span = maker.owner, maker.span
            if owner is None or span is None or maker.stack or id(owner) in seen:
                continue
            if len(seen) < _MAX_LAYERS and _half(trace, maker) is not None:
                seen.add(id(owner))
                yield owner, span


def _takes_dtype(kind: type) -> bool:
    """Whether each constructor down to that of the library takes `dtype` or passes it on."""
    for base in kind.__mro__:
        made = vars(base).get("__init__")
        if made is None:
            continue
        words = inspect.signature(made).parameters
        if "dtype" in words:
            return True
        if not any(word.kind is word.VAR_KEYWORD for word in words.values()):
            return False
    return False


def _edits(source: SourceFile, span: Span, facts: Facts) -> list[TemplateEdit]:
    expression = expression_at(source, span)
    return [] if expression is None else candidates(expression, _MECHANISM, facts)
