"""What a guarded step says of itself, in one array of integers that each step gives to the next.

They are the two numbers of the sentinel, and after them the losses of the last steps as the bits of
single-precision numbers. Each array that a step returns costs about two microseconds, and as much
again where it is read; so one of them has all, and of many steps in a row one is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stayfinite.frameworks.jax.guard_step import new_sentinel
from stayfinite.frameworks.recorder import MAX_PENDING

# As many losses as there are steps at most whose record is not read.
_NUM_LOSSES = MAX_PENDING
_SIZE_OF_SENTINEL = 2
# The place of the number of the first bad step; -1 stands for none.
FIRST_BAD = 1
# The bits of a NaN that no computation gives: a step without a loss.
_NO_LOSS = 0x7FDEAD00
_LARGEST = np.finfo("float32").max


def new_record() -> Any:
    """The record before the first step."""
    return jnp.concatenate([new_sentinel(), jnp.full(_NUM_LOSSES, _NO_LOSS, "int32")])


def sentinel_of(record: Any) -> Any:
    """The sentinel in a record."""
    return record[:_SIZE_OF_SENTINEL]


def extended(record: Any, sentinel: Any, loss: Any) -> Any:
    """The record after a step, which has left this sentinel and this loss.

    Args:
        record: The one before the step.
        sentinel: The sentinel after it.
        loss: A scalar; None if the step has none.
    """
    bits: Any = _NO_LOSS
    if loss is not None:
        if loss.dtype == jnp.float64:
            # A loss that is finite must not become infinite.
            loss = jnp.where(jnp.isfinite(loss), jnp.clip(loss, -_LARGEST, _LARGEST), loss)
        # Else XLA may compute the loss a second time, for each of the numbers here.
        loss = jax.lax.optimization_barrier(loss)
        bits = jax.lax.bitcast_convert_type(loss.astype("float32"), "int32")
    number = record[0] % _NUM_LOSSES
    losses = jnp.where(jnp.arange(_NUM_LOSSES) == number, bits, record[_SIZE_OF_SENTINEL:])
    return jnp.concatenate([sentinel, losses])


class LateRecord:
    """A record that may not have been computed yet; a `Flag`.

    Attributes:
        is_ready: Whether it can be read without waiting.
    """

    __slots__ = ("_array", "is_ready")

    def __init__(self, array: jax.Array) -> None:
        self._array = array
        self.is_ready: Callable[[], bool] = array.is_ready

    def __int__(self) -> int:
        # NumPy reads it faster than JAX itself.
        return int(np.asarray(self._array).item(FIRST_BAD))

    def losses(self, number: int) -> list[float | None]:
        """The losses of the last `number` steps, oldest first; None for a step without one."""
        values = np.asarray(self._array)
        end, bits = values.item(0), values[_SIZE_OF_SENTINEL:]
        places = [step % _NUM_LOSSES for step in range(end - number, end)]
        losses = bits.view("float32")
        return [None if bits[n] == _NO_LOSS else losses.item(n) for n in places]
