"""Numbers, samples and arrays in words."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence

from stayfinite.incident import Incident, Intervention, Operand, Origin, Where

# Up to so many samples are listed; of more, the first three stand for all.
_SAMPLES_LISTED = 6
_SAMPLES_OF_MANY = 3

# Of an op with more operands, the first are described.
_OPERANDS = 2


# The name of a cell in a notebook, as `graph.cells` gives it.
_CELL = re.compile(r"Cell In \[\d+\]")


def is_cell(origin: Origin) -> bool:
    """Whether the origin is in a cell of a notebook."""
    return origin.file is not None and _CELL.fullmatch(origin.file) is not None


def file_and_line(origin: Origin) -> str:
    """`train.py:14`, or `Cell In [3], line 2`."""
    return (
        f"{origin.file}, line {origin.line}" if is_cell(origin) else f"{origin.file}:{origin.line}"
    )


def number(value: float) -> str:
    """Four significant digits: enough to recognise a value, few enough to read."""
    return f"{value:.4g}"


def number_beside(value: float, others: Collection[float]) -> str:
    """`number`, with more digits where the text would be that of one of `others`."""
    text = number(value)
    for digits in range(5, 18):
        if value in others or float(text) not in others:
            break
        text = f"{value:.{digits}g}"
    return text


def as_given(value: float | None) -> str:
    """A float as `number`; anything else as Python prints it."""
    return number(value) if isinstance(value, float) else str(value)


def step_in_words(where: Where | Intervention) -> str:
    """`step 812 (epoch 3, batch 45)`, as far as epoch and batch are known."""
    known = [
        f"{name} {value}"
        for name, value in (("epoch", where.epoch), ("batch", where.batch))
        if value is not None
    ]
    return f"step {where.step} ({', '.join(known)})" if known else f"step {where.step}"


def plural(count: int, noun: str) -> str:
    """`1 sample`, `2 samples`."""
    if count == 1:
        return f"{count} {noun}"
    return f"{count} {noun.removesuffix('y')}ies" if noun == "entry" else f"{count} {noun}s"


def sample_list(samples: Sequence[int], num_samples: int | None = None) -> str:
    """`sample 4`, `samples 4, 19`, `samples 4, 19, 23 and 12 more`, or `every sample`.

    Args:
        samples: The samples to name.
        num_samples: How many the batch has, if that is known.
    """
    if len(samples) == num_samples:
        return "every sample" if num_samples > 1 else "the only sample"
    return f"sample{'' if len(samples) == 1 else 's'} {_numbers(samples)}"


def samples_affected(incident: Incident) -> str:
    """`2 of 32 samples (4, 19)`, `every sample`, or nothing where they are not known."""
    samples, num_samples = incident.origin.samples, incident.num_rows
    if not samples:
        return ""
    if num_samples is None or len(samples) == num_samples:
        return sample_list(samples, num_samples)
    return f"{len(samples)} of {plural(num_samples, 'sample')} ({_numbers(samples)})"


def _numbers(samples: Sequence[int]) -> str:
    if len(samples) <= _SAMPLES_LISTED:
        return ", ".join(str(sample) for sample in samples)
    listed = ", ".join(str(sample) for sample in samples[:_SAMPLES_OF_MANY])
    return f"{listed} and {len(samples) - _SAMPLES_OF_MANY} more"


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
