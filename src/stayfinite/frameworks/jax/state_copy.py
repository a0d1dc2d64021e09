"""A copy of a state on JAX that is taken again and again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.disks import fits_in_memory
from stayfinite.frameworks.host_copies import HostCopies

# A copy on the device itself may take this part of what the program has needed of its memory; a
# larger one is on the host.
_PART_OF_NEEDED = 1 / 16


class StateCopy:
    """A copy of the leaves of a state: on the host, or on a device with room for it.

    Args:
        on_host: Where it is on the host.
    """

    def __init__(self, on_host: HostCopies) -> None:
        self._on_device: list[Any] = []
        self._on_host = on_host
        # Those of the copies on the host, in the order of the leaves.
        self._numbers: list[int] = []

    @property
    def num_bytes(self) -> int:
        """How large the copy is."""
        sizes = [*self._on_host.sizes().values(), *(kept.nbytes for kept in self._on_device)]
        return sum(sizes)

    @property
    def is_in_file(self) -> bool:
        """Whether it takes no memory of the process."""
        return self._on_host.is_in_file

    def take(self, leaves: list[Any]) -> None:
        """Copy `leaves` in the place of what was kept; they may be donated afterwards."""
        is_on_host = is_on_cpu(leaves)
        self._on_device = []
        if not is_on_host and _has_room(leaves):
            self._on_device = [jnp.array(leaf) for leaf in leaves]
            return
        num_bytes = sum(leaf.nbytes for leaf in leaves)
        is_small = is_on_host or fits_in_memory(num_bytes, is_on_host=False)
        if is_small and not is_on_host:
            for leaf in leaves:
                leaf.copy_to_host_async()

        def value(number: int) -> np.ndarray:
            # An array of another device keeps what it has given to the host.
            return np.asarray(leaves[number] if is_small else jnp.array(leaves[number]))

        self._numbers = list(range(len(leaves)))
        self._on_host.replace(self._numbers, value, num_bytes, is_on_host=is_on_host)

    def keep_only(self, positions: list[int]) -> None:
        """Drop all but these of the leaves that were copied."""
        if self._on_device:
            self._on_device = [self._on_device[position] for position in positions]
            return
        kept = [self._numbers[position] for position in positions]
        for number in set(self._numbers) - set(kept):
            self._on_host.discard(number)
        self._numbers = kept

    def add(self, leaves: list[Any]) -> None:
        """Copy more leaves, which come after those that were copied."""
        if self._on_device:
            self._on_device += [np.array(leaf) for leaf in leaves]
            return
        first = max(self._numbers, default=-1) + 1
        for number, leaf in enumerate(leaves, first):
            self._on_host.add(number, np.asarray(leaf))
            self._numbers.append(number)

    def restored(self) -> list[Any]:
        """Arrays of JAX with the values; they may be donated."""
        if self._on_device:
            return [jnp.array(kept) for kept in self._on_device]
        return [jnp.array(self._on_host.read(number)) for number in self._numbers]


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
