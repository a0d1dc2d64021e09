"""A copy of a state on JAX that is taken again and again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# A copy on the device itself may take this part of what the program has needed of its memory; a
# larger one is on the host.
_PART_OF_NEEDED = 1 / 16


class StateCopy:
    """A copy of the leaves of a state: on the host, or on a device with room for it."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    @property
    def num_bytes(self) -> int:
        """How large the copy is."""
        return sum(kept.nbytes for kept in self._kept)

    def take(self, leaves: list[Any]) -> None:
        """Copy `leaves` in the place of what was kept; they may be donated afterwards."""
        if is_on_cpu(leaves):
            # Into the same memory: to get new memory costs more than the copy.
            same = [kept.shape for kept in self._kept] == [leaf.shape for leaf in leaves]
            buffers = self._kept if same else [np.empty(leaf.shape, leaf.dtype) for leaf in leaves]
            for buffer, leaf in zip(buffers, leaves, strict=True):
                np.copyto(buffer, np.asarray(leaf))
            self._kept = buffers
            return
        self._kept = []
        if _has_room(leaves):
            self._kept = [jnp.array(leaf) for leaf in leaves]
            return
        for leaf in leaves:
            leaf.copy_to_host_async()
        self._kept = [np.array(leaf) for leaf in leaves]

    def keep_only(self, positions: list[int]) -> None:
        """Drop all but these of the leaves that were copied."""
        self._kept = [self._kept[position] for position in positions]

    def add(self, leaves: list[Any]) -> None:
        """Copy more leaves, which come after those that were copied."""
        self._kept += [np.array(leaf) for leaf in leaves]

    def restored(self) -> list[Any]:
        """Arrays of JAX with the values; they may be donated."""
        return [jnp.array(kept) for kept in self._kept]


def is_on_cpu(leaves: list[Any]) -> bool:
    """Whether the leaves are in the memory of the host."""
    return all(device.platform == "cpu" for device in leaves[0].devices())


def _has_room(leaves: list[Any]) -> bool:
    (device,) = leaves[0].devices()
    stats = device.memory_stats() or {}
    needed = stats.get("peak_bytes_in_use", 0)
    free = stats.get("bytes_limit", 0) - needed
    return bool(sum(leaf.nbytes for leaf in leaves) <= min(free, needed * _PART_OF_NEEDED))


def is_on_default_device(leaves: list[Any]) -> bool:
    """Whether all leaves are where JAX puts a new array."""
    default = {jax.devices()[0]}
    return all(isinstance(leaf, jax.Array) and leaf.devices() == default for leaf in leaves)
