"""The states of the random generators that a loop may draw from: of PyTorch, NumPy and Python."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from stayfinite.frameworks.state import RandomState
from stayfinite.frameworks.torch.state import random_state, restore_random

# So many steps show whether a loop draws from NumPy or Python, whose states take longer to copy.
PROBED_STEPS = 3


@dataclass(frozen=True)
class Generators:
    """States of generators; None for one that the loop does not draw from."""

    torch: RandomState
    numpy: Any = None
    python: Any = None

    def now(self) -> Generators:
        """The present states of the same generators."""
        return Generators(
            random_state(),
            None if self.numpy is None else np.random.get_state(),
            None if self.python is None else random.getstate(),
        )

    def restore(self) -> None:
        """Set the generators to these states."""
        restore_random(self.torch)
        if self.numpy is not None:
            np.random.set_state(self.numpy)
        if self.python is not None:
            random.setstate(self.python)


class GeneratorNotes:
    """Notes the states of the generators, as far as a loop draws from them."""

    def __init__(self) -> None:
        self._probed = 0
        self._numpy = self._python = False

    def now(self) -> Generators:
        """The present states."""
        return Generators(
            random_state(),
            np.random.get_state() if self._numpy or self.is_probing else None,
            random.getstate() if self._python or self.is_probing else None,
        )

    def step_ended(self, began: Generators) -> None:
        """Learn from a step which generators it draws from."""
        if self._probed >= PROBED_STEPS:
            return
        self._probed += 1
        if began.numpy is not None:
            after: Any = np.random.get_state()
            before = began.numpy
            self._numpy |= before[2] != after[2] or not np.array_equal(before[1], after[1])
        if began.python is not None:
            self._python |= began.python != random.getstate()

    @property
    def is_probing(self) -> bool:
        """Whether it is not known yet which generators are drawn from."""
        return self._probed < PROBED_STEPS


def everything() -> Generators:
    """The present states of all generators."""
    return Generators(random_state(), np.random.get_state(), random.getstate())
