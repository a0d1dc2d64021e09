"""A limit of time that ends a search after the same work on a busy machine as on an idle one."""

from __future__ import annotations

import time
from collections.abc import Callable

# A search may take so many times its limit by the clock: on a machine that is shared, and where a
# step waits for a device or a file.
_TIMES_BY_CLOCK = 7.0


class TimeLimit:
    """A limit in processor time of this process, with a larger one by the clock.

    Of a step on several threads the clock counts, as it is less than the processor time of all.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.process_time,
    ) -> None:
        self.seconds = seconds
        self.seconds_by_clock = seconds * _TIMES_BY_CLOCK
        self._clock = clock
        self._processor = processor
        self._begun = clock(), processor()

    @property
    def _by_clock(self) -> float:
        return self._clock() - self._begun[0]

    @property
    def spent(self) -> float:
        """Seconds that were used up so far, of processor time or by the clock."""
        return min(self._by_clock, self._processor() - self._begun[1])

    @property
    def remaining(self) -> float:
        """Seconds that are left, of processor time or by the clock; not above 0 at the end."""
        return min(self.seconds - self.spent, self.seconds_by_clock - self._by_clock)

    @property
    def is_over(self) -> bool:
        """Whether the limit is reached."""
        return self.remaining <= 0
