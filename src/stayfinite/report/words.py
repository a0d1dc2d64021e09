"""Numbers, rows and arrays in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stayfinite.incident import Incident, Operand

# Up to so many rows are listed; of more, the first three stand for all.
_ROWS_LISTED = 6
_ROWS_OF_MANY = 3

# An op with more operands is described well enough by the first.
_OPERANDS = 2


def number(value: float) -> str:
    """Four significant digits: enough to recognise a value, few enough to read."""
    return f"{value:.4g}"


def plural(count: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def row_list(samples: Sequence[int]) -> str:
    """`row 4`, `rows 4, 19`, `rows 4, 19, 23 and 12 more`."""
    if len(samples) == 1:
        return f"row {samples[0]}"
    if len(samples) <= _ROWS_LISTED:
        return "rows " + ", ".join(str(row) for row in samples)
    listed = ", ".join(str(row) for row in samples[:_ROWS_OF_MANY])
    return f"rows {listed} and {len(samples) - _ROWS_OF_MANY} more"


def rows_affected(incident: Incident) -> str:
    """`2 of 32 rows (rows 4, 19)`, `all 32 rows`, or nothing when the rows are not known."""
    samples = incident.origin.samples
    if not samples:
        return ""
    if incident.num_rows is None:
        return row_list(samples)
    if len(samples) == incident.num_rows > 1:
        return f"all {incident.num_rows} rows"
    return f"{len(samples)} of {plural(incident.num_rows, 'row')} ({row_list(samples)})"


def operand(value: Operand) -> str:
    """`float32 (32, 1) from 0 to 3.1`: a tensor by its type, shape and range."""
    shape = str(tuple(value.shape)) if value.shape else "scalar"
    tensor, size, bad = f"{value.dtype} {shape}", math.prod(value.shape), value.num_nonfinite
    span = _span(value, size)
    if not bad:
        return f"{tensor} {span}".rstrip()
    if not span:
        return f"{tensor}, none of {plural(size, 'element')} finite"
    return f"{tensor}, {bad} of {plural(size, 'element')} non-finite, the others {span}"


def _span(value: Operand, size: int) -> str:
    if value.min is None or value.max is None:
        return ""
    low, high = number(value.min), number(value.max)
    if value.min == value.max:
        return f"all {low}" if size > 1 else low
    return f"from {low} to {high}" if low != high else f"from {value.min!r} to {value.max!r}"


def operands(values: Sequence[Operand]) -> str:
    """The first operands, and how many more there are."""
    text = " and ".join(operand(value) for value in values[:_OPERANDS])
    return f"{text} and {len(values) - _OPERANDS} more" if len(values) > _OPERANDS else text


def names(values: Sequence[str], most: int = 2) -> str:
    """The first names in backticks, and how many more there are."""
    text = ", ".join(f"`{name}`" for name in values[:most])
    return f"{text} and {len(values) - most} more" if len(values) > most else text
