"""Nested structures of tensors, as data loaders give them: their leaves, and with other leaves."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, MutableMapping
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
