"""Nested structures of tensors, as data loaders give them: their leaves, and with other leaves."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch

# Keys, positions and names of fields from the whole to the leaf.
Path = tuple[str | int, ...]


def leaves(structure: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The tensors and arrays of `structure`, each with its path."""
    if isinstance(structure, torch.Tensor | np.ndarray):
        yield path, structure
    elif isinstance(structure, Mapping):
        for key, part in structure.items():
            yield from leaves(part, (*path, key))
    elif isinstance(structure, list | tuple):
        names = getattr(structure, "_fields", range(len(structure)))
        for key, part in zip(names, structure, strict=False):
            yield from leaves(part, (*path, key))
    elif dataclasses.is_dataclass(structure) and not isinstance(structure, type):
        for field in dataclasses.fields(structure):
            yield from leaves(getattr(structure, field.name), (*path, field.name))


def packed(structure: Any, values: Iterator[Any]) -> Any:
    """`structure` with other leaves, in the order of `leaves`."""
    if isinstance(structure, np.ndarray):
        value = next(values)
        return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    if isinstance(structure, torch.Tensor):
        return next(values)
    if isinstance(structure, MutableMapping):
        other = copy.copy(structure)
        for key, part in structure.items():
            other[key] = packed(part, values)
        return other
    if isinstance(structure, list | tuple):
        parts = [packed(part, values) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    if dataclasses.is_dataclass(structure) and not isinstance(structure, type):
        fields = {
            field.name: packed(getattr(structure, field.name), values)
            for field in dataclasses.fields(structure)
        }
        return dataclasses.replace(structure, **fields)
    return structure


def is_list_of_numbers(value: object, size: int | None = None) -> bool:
    """Whether `value` is a list or plain tuple of Python numbers, of `size` of them if given."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 1
        and size in (None, len(value))
        and not hasattr(value, "_fields")
        and all(isinstance(item, int | float) for item in value)
    )


def reordered(structure: Any, others: Any, order: Sequence[int], size: int) -> Any:
    """`structure` with the numbers of its lists in another order; its arrays stay.

    Args:
        structure: It has lists with a number for each of `size` samples, such as lengths.
        others: A structure of the same form, whose numbers are those from `size` on.
        order: The position of each number.
        size: The number of samples.
    """
    if is_list_of_numbers(structure, size):
        numbers = [*structure, *(others if is_list_of_numbers(others, size) else structure)]
        return type(structure)(numbers[position] for position in order)
    if isinstance(structure, MutableMapping):
        other = copy.copy(structure)
        for key, part in structure.items():
            other[key] = reordered(part, others[key], order, size)
        return other
    if isinstance(structure, list | tuple):
        pairs = zip(structure, others, strict=True)
        parts = [reordered(part, other, order, size) for part, other in pairs]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    return structure
