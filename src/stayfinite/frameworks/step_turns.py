"""The order of the steps of several hand-written loops, each of which counts its own.

An adversarial training may have one compiled step for each network. The number of a step in an
incident is that among the steps of all of them. A loop that ended before another one began is
another training, and does not count.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field

from stayfinite.frameworks.recorder import StepCount

# Turns that are known of a loop. A bad step is known at most 32 steps later.
_MAX_TURNS = 64


class StepTurns:
    """The turns of the loops of a program; a turn is a row of steps of one loop.

    Attributes:
        present: The count of the loop that makes steps now.
    """

    def __init__(self) -> None:
        self.present: StepCount | None = None
        self._num_turns = 0
        self._loops: dict[int, _LoopTurns] = {}

    def begin(self, count: StepCount) -> None:
        """The loop with this count makes a step, and another one made the step before."""
        self.present = count
        self._num_turns += 1
        loop = self._loops.get(id(count))
        if loop is None:
            loop = self._loops[id(count)] = _LoopTurns(count, self._num_turns)
        loop.last = self._num_turns
        num_steps = sum([each.count.num_steps for each in self._loops.values()])
        loop.turns.append((count.num_steps, num_steps - count.num_steps))

    def take_over(self, count: StepCount, other: StepCount) -> None:
        """The loop with this count makes the steps that the one with `other` made so far."""
        own, before = self._loops.get(id(count)), self._loops.get(id(other))
        if own is not None and before is not None:
            own.first = min(own.first, before.first)

    def num_others_before(self, count: StepCount, step: int) -> int:
        """How many steps loops that take turns with this one made before a step of it."""
        own = self._loops.get(id(count))
        if own is None:
            return 0
        found = 0
        for first, num_others in own.turns:
            if first <= step:
                found = num_others
        ended = [each for each in self._loops.values() if each.last < own.first]
        return found - sum([each.count.num_steps for each in ended])


@dataclass
class _LoopTurns:
    """A loop: its count, the numbers of its first and its last turn, and its last turns.

    `turns` has for each of them its own steps before it, and those of the others.
    """

    count: StepCount
    first: int
    last: int = 0
    turns: collections.deque[tuple[int, int]] = field(
        default_factory=lambda: collections.deque(maxlen=_MAX_TURNS)
    )


# One for the process, as the loops of a program know nothing of each other.
TURNS = StepTurns()
