"""Which number each tensor has while a run is recorded.

A tensor is identified by its memory and layout, not by its Python object: what autograd
saved in the forward pass comes back in the backward pass as another object. Writing in place makes
a new value; a view that is read after its memory was written to through another one is a value
made from both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from stayfinite.frameworks.recording.recording import Recording
from stayfinite.frameworks.torch import private

Layout = tuple[int, tuple[int, ...], tuple[int, ...], Any]


@dataclass
class _Memory:
    """One storage: the numbers of the values in it, and who wrote to it last."""

    alive: Any
    writes: int = 0
    last: int | None = None
    numbers: dict[Layout, tuple[int, int]] = field(default_factory=dict)


class TensorNumbers:
    """Numbers of tensors, for one recording."""

    def __init__(self, recording: Recording, synthetic: Callable[[list[int], Any], int]) -> None:
        self._recording = recording
        # Records a `copy` that no operator made, and gives the number of its result.
        self._synthetic = synthetic
        self._memories: dict[int, _Memory] = {}

    def bind(self, tensor: Any, number: int) -> None:
        """`tensor` has the value `number` from now on."""
        memory = self._memory(tensor)
        memory.numbers[_layout(tensor)] = (number, memory.writes)

    def written(self, tensor: Any, number: int) -> None:
        """`tensor` was written to in place, which made the value `number`."""
        memory = self._memory(tensor)
        memory.writes += 1
        memory.last = number
        memory.numbers[_layout(tensor)] = (number, memory.writes)

    def number(self, tensor: Any) -> int:
        """The number of the value that `tensor` has now; a constant if no op made it."""
        memory = self._memory(tensor)
        found = memory.numbers.get(_layout(tensor))
        if found is not None and found[1] == memory.writes:
            return found[0]
        sources = [] if found is None else [found[0]]
        if memory.last is not None:
            sources.append(memory.last)
        elif not sources and memory.numbers:
            # Another view of known memory, made where no operator was seen.
            sources.append(next(reversed(memory.numbers.values()))[0])
        number = self._synthetic(sources, tensor) if sources else self._constant(tensor)
        self.bind(tensor, number)
        return number

    def _constant(self, tensor: Any) -> int:
        return self._recording.constant(tensor.shape, dtype_of(tensor), tensor)

    def _memory(self, tensor: Any) -> _Memory:
        dense = private.dense_values(tensor) if tensor.is_sparse else tensor
        storage = dense.untyped_storage()
        address = private.memory_of(storage)
        memory = self._memories.get(address)
        if memory is None or memory.alive.expired():
            memory = _Memory(private.StorageWeakRef(storage))
            self._memories[address] = memory
        return memory


def dtype_of(tensor: Any) -> str:
    """`float32` for `torch.float32`."""
    return str(tensor.dtype).removeprefix("torch.")


def _layout(tensor: torch.Tensor) -> Layout:
    return (tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
