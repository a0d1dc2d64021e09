"""Values of variables that are kept, to know later whether anything has written to a variable.

A tensor that was read shares the buffer of its variable. As long as it is kept, TensorFlow writes
to another buffer, whatever code writes. So a variable that still has the same buffer has the same
bits. That costs nothing as long as nothing writes; the first write copies the buffer.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np

from stayfinite.frameworks.tensorflow.state import value_of


class HeldValues:
    """The values of the variables of a state, in the memory of the host."""

    def __init__(self) -> None:
        self._held: list[tuple[Any, Any]] = []

    def hold(self, variables: list[Any], values: list[Any]) -> None:
        """Keep `values`, which have been read from `variables`."""
        self._held = list(zip(variables, values, strict=True))

    def let_go(self) -> None:
        """Keep nothing, as the variables are about to be written to."""
        self._held = []

    def are_present(self, apart_from: Container[int]) -> bool:
        """Whether the variables are known to have the values.

        Args:
            apart_from: The identities of variables that do not count.
        """
        if not self._held or not all("CPU" in variable.device for variable, _ in self._held):
            return False
        return all(
            np.may_share_memory(np.asarray(value_of(variable)), np.asarray(held))
            for variable, held in self._held
            if id(variable) not in apart_from
        )
