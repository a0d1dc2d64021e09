"""The order of the steps of several hand-written loops, each of which counts its own.

An adversarial training may have one compiled step for each network. The number of a step in an
incident is that among the steps of all of them.
"""

from __future__ import annotations

import collections

from stayfinite.frameworks.recorder import StepCount

# Turns that are known of a loop. A bad step is known at most 16 steps later.
_MAX_TURNS = 64


class StepTurns:
    """The turns of the loops of a program; a turn is a row of steps of one loop.

    Attributes:
        present: The count of the loop that makes steps now.
    """

    def __init__(self) -> None:
        self.present: StepCount | None = None
        # For each turn of a loop: its own steps before it, and those of the others.
        self._turns: dict[int, collections.deque[tuple[int, int]]] = {}
        self._counts: list[StepCount] = []

    def begin(self, count: StepCount) -> None:
        """The loop with this count makes a step, and another one made the step before."""
        self.present = count
        turns = self._turns.get(id(count))
        if turns is None:
            turns = self._turns[id(count)] = collections.deque(maxlen=_MAX_TURNS)
            self._counts.append(count)
        num_steps = sum([each.num_steps for each in self._counts])
        turns.append((count.num_steps, num_steps - count.num_steps))

    def num_others_before(self, count: StepCount, step: int) -> int:
        """How many steps other loops made before a step of this one."""
        found = 0
        for first, num_others in self._turns.get(id(count), ()):
            if first <= step:
                found = num_others
        return found


# One for the process, as the loops of a program know nothing of each other.
TURNS = StepTurns()
