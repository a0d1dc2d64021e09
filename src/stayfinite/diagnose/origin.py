"""The origin of an incident: the user's expression, its operands, its samples."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

from stayfinite.diagnose.evidence import Evidence
from stayfinite.diagnose.finding import Finding
from stayfinite.diagnose.values import as_float
from stayfinite.graph.cells import cell_name, num_lines_above
from stayfinite.graph.code_owner import below_library_folder, library_of
from stayfinite.graph.graph import Span
from stayfinite.graph.source import callee, expression_text, runs_text
from stayfinite.graph.source import source_line as line_of
from stayfinite.graph.walk import unwrapped
from stayfinite.incident import Operand, Origin
from stayfinite.numerics.functions import STRUCTURAL

# The line of such a call starts a training; it makes no layer or loss.
TRAINING_CALLS = ("fit", "compile", "train_on_batch")

NOWHERE = Origin("", None, None, None, None, None, None, None, None, ())


def origin_of(evidence: Evidence, finding: Finding) -> Origin:
    """The origin of an incident: the forward expression, also where its derivative failed."""
    op = evidence.forward_op
    span, library = shown_span(evidence, finding)
    origin = dataclasses.replace(
        _place(span),
        library=library,
        op=finding.op,
        samples=finding.samples,
        tensor=finding.tensor,
    )
    if op is None:
        leaf = evidence.leaf
        came_in = () if leaf is None else (_operand(evidence, leaf.value),)
        return dataclasses.replace(origin, operands=came_in)
    operands = tuple(_operand(evidence, value) for value in op.operands)
    return dataclasses.replace(origin, layer=op.layer, operands=operands)


def span_of(evidence: Evidence, finding: Finding) -> Span | None:
    """The user's expression: what the finding names, or that of the op at fault."""
    op = evidence.forward_op
    if finding.span is not None or finding.tensor is not None or op is None:
        return finding.span
    return op.span


def shown_span(evidence: Evidence, finding: Finding) -> tuple[Span | None, str | None]:
    """The expression that a report shows, and the library that it is of if it is not the user's."""
    span, op = span_of(evidence, finding), evidence.forward_op
    if span is not None or finding.tensor is not None or op is None or op.library is None:
        return span, None
    return op.library, library_of(op.library.file)


@dataclass(frozen=True)
class LibraryLine:
    """An expression of an installed library: its text, if there is source, and where it is."""

    file: str
    line: int
    function: str
    text: str | None


def library_inside(evidence: Evidence, finding: Finding) -> LibraryLine | None:
    """The line of a library that fails inside the expression that is shown; None without one."""
    op = evidence.forward_op
    span = None if op is None else op.library
    if span is None or finding.tensor is not None or shown_span(evidence, finding)[0] is span:
        return None
    return LibraryLine(shown_path(span.file), span.line, span.function, expression_text(span))


def text_run_by(evidence: Evidence, finding: Finding) -> str | None:
    """The function, `exec` or `eval`, that runs the failing expression, whose text is not kept."""
    span = span_of(evidence, finding)
    return None if span is None else runs_text(span)


def layer_without_site(evidence: Evidence, finding: Finding) -> str | None:
    """The layer that computes or feeds the failing op, if the line that made it was not noted."""
    critical = None
    if finding.critical is not None:
        value = unwrapped(evidence.trace, finding.critical.value, STRUCTURAL)
        critical = evidence.trace.producer.get(value)
    for op in (evidence.forward_op, critical):
        if op is None or op.layer is None or op.owner is not None or op.library is not None:
            continue
        if op.span is None or callee(op.span) in TRAINING_CALLS:
            return op.layer
    return None


def _place(span: Span | None) -> Origin:
    if span is None:
        return NOWHERE
    above = num_lines_above(span.file)
    return dataclasses.replace(
        NOWHERE,
        file=shown_path(span.file),
        line=span.line + above,
        column=span.column,
        end_line=span.end_line + above,
        end_column=span.end_column,
        function=span.function,
    )


def source_line(evidence: Evidence, finding: Finding) -> str | None:
    """The line that the report shows, if there is source."""
    span, _ = shown_span(evidence, finding)
    return None if span is None else line_of(span)


def file_of(evidence: Evidence) -> str | None:
    """The user's file or cell, as `shown_path` names it."""
    op = evidence.forward_op
    return None if op is None or op.span is None else shown_path(op.span.file)


def shown_path(file: str) -> str:
    """`file` as reports name it: a cell by its number, a path below the working directory by it."""
    cell = cell_name(file)
    if cell is not None:
        return cell
    try:
        here = Path.cwd()
    except FileNotFoundError:  # deleted while the program ran
        return file
    if library_of(file) is not None:
        return below_library_folder(file)
    path = here / file
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _operand(evidence: Evidence, value: int) -> Operand:
    array = evidence.values[value]
    wide = as_float(array)
    finite = wide[wide == wide] if wide.dtype.kind == "f" else wide
    finite = finite[abs(finite) < math.inf]
    if finite.dtype.kind == "c":
        finite = abs(finite)
    return Operand(
        shape=tuple(array.shape),
        dtype=evidence.dtype(value),
        min=float(finite.min()) if finite.size else None,
        max=float(finite.max()) if finite.size else None,
        num_nonfinite=int(wide.size - finite.size),
    )
