"""A large batch that is kept to compare a bad step with: in a file, until it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from stayfinite.frameworks.host_copies import HostCopies
from stayfinite.frameworks.kept_in_memory import Tell
from stayfinite.frameworks.recorded_steps import num_bytes_of

# A smaller part of a batch is copied in memory, whatever it is.
_SMALL = 2**20
_CONTAINERS = (tuple, list, dict)


@dataclass(frozen=True)
class TensorForm:
    """How tensors of a framework that are on the host become arrays of NumPy, and are made of them.

    Attributes:
        array: A view of a tensor; None for what is no such tensor.
        tensor: A tensor with the values of an array, which nothing else refers to.
    """

    array: Callable[[Any], np.ndarray | None]
    tensor: Callable[[np.ndarray], object]


@dataclass(frozen=True)
class _Part:
    """An array of a batch that is in the file, by its number."""

    number: int
    is_tensor: bool


class _UnknownPartError(Exception):
    """A part of a batch is no array of a known kind."""


class FiledBatch:
    """The last batch that `BatchFile.keep` was given."""

    def __init__(self, form: TensorForm | None, copies: HostCopies, data: object) -> None:
        self._form = form
        self._copies = copies
        self._data = data

    def load(self) -> object:
        """The batch, in memory of its own.

        Raises:
            OSError: The file has not kept it.
        """
        return _mapped(self._data, self._loaded)

    def _loaded(self, leaf: object) -> object:
        if not isinstance(leaf, _Part):
            return leaf
        array = self._copies.read(leaf.number)
        return self._form.tensor(array) if leaf.is_tensor and self._form is not None else array


class BatchFile:
    """One batch, copied to the place of the last one.

    Args:
        form: The tensors of the framework; None where a batch has none that are large.
        tell: As that of `HostCopies`.
    """

    def __init__(self, form: TensorForm | None, tell: Tell) -> None:
        self._form = form
        self._copies = HostCopies(tell)

    def keep(self, data: object, own: Callable[[object], object]) -> FiledBatch | None:
        """Copy a batch; None if it has large parts that are no arrays.

        Args:
            data: The data of a step.
            own: Copies a part in memory.
        """
        arrays: list[np.ndarray] = []

        def part_of(leaf: object) -> object:
            array = leaf if isinstance(leaf, np.ndarray) else self._array_of(leaf)
            if num_bytes_of(leaf) <= _SMALL:
                return own(leaf)
            if array is None or array.dtype.hasobject:
                raise _UnknownPartError
            arrays.append(array)
            return _Part(len(arrays) - 1, array is not leaf)

        try:
            parts = _mapped(data, part_of)
        except _UnknownPartError:
            return None
        num_bytes = sum(array.nbytes for array in arrays)
        self._copies.replace(
            range(len(arrays)), lambda number: arrays[number], num_bytes, is_on_host=True
        )
        return FiledBatch(self._form, self._copies, parts)

    def _array_of(self, leaf: object) -> np.ndarray | None:
        return None if self._form is None else self._form.array(leaf)


def _mapped(data: Any, convert: Callable[[object], object]) -> object:
    if type(data) not in _CONTAINERS:
        return convert(data)
    if type(data) is dict:
        return {key: _mapped(item, convert) for key, item in data.items()}
    return type(data)(_mapped(item, convert) for item in data)
