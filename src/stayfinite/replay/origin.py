"""Where it happened, as the incident tells it: the user's expression, its operands, its rows."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from stayfinite.incident import Operand, Origin
from stayfinite.rules.finding import Finding
from stayfinite.trace.evidence import Evidence, as_float
from stayfinite.trace.source_text import source_line as line_of

NOWHERE = Origin("", None, None, None, None, None, None, None, None, ())


def origin_of(evidence: Evidence, finding: Finding) -> Origin:
    """The origin of an incident: the forward expression, also where its derivative failed."""
    op = evidence.primal or evidence.op
    rows = finding.rows
    if op is None:
        leaf = evidence.leaf
        operands = () if leaf is None else (_operand(evidence, leaf.value),)
        return dataclasses.replace(
            NOWHERE, op=finding.op, samples=rows, operands=operands, tensor=finding.tensor
        )
    span = None if finding.tensor is not None else op.span
    return Origin(
        op=finding.op,
        file=None if span is None else _shown(span.file),
        line=None if span is None else span.line,
        column=None if span is None else span.column,
        end_line=None if span is None else span.end_line,
        end_column=None if span is None else span.end_column,
        function=None if span is None else span.function,
        layer=op.layer,
        samples=rows,
        operands=tuple(_operand(evidence, value) for value in op.operands),
        tensor=finding.tensor,
    )


def source_line(evidence: Evidence) -> str | None:
    """The line that the report shows, if there is source."""
    op = evidence.primal or evidence.op
    return None if op is None or op.span is None else line_of(op.span)


def file_of(evidence: Evidence) -> str | None:
    """The user's file, as he would name it from the working directory."""
    op = evidence.primal or evidence.op
    return None if op is None or op.span is None else _shown(op.span.file)


def _shown(file: str) -> str:
    path = Path(file).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _operand(evidence: Evidence, value: int) -> Operand:
    array = evidence.arrays[value]
    wide = as_float(array)
    finite = wide[wide == wide] if wide.dtype.kind == "f" else wide
    finite = finite[abs(finite) < math.inf]
    return Operand(
        shape=tuple(array.shape),
        dtype=evidence.trace.values[value].dtype,
        min=float(finite.min()) if finite.size else None,
        max=float(finite.max()) if finite.size else None,
        num_nonfinite=int(wide.size - finite.size),
    )
