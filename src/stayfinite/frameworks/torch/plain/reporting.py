"""Which of several processes prints the report of a step that all of them have judged to be bad.

Each process has made its part of the step again by itself. What it found is put into the store by
which the processes have found each other. It is so too for the line of a step that is left out.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from stayfinite.frameworks.torch.plain import private
from stayfinite.frameworks.torch.plain.processes import (
    SECONDS_BETWEEN,
    SECONDS_TO_BEGIN,
    SECONDS_TO_END,
    has_begun,
)

# Of one that is done with its training and has its files to write.
SECONDS_TO_WRITE = 60.0
# Of one that may still be in a training which this process has left.
SECONDS_FOR_TURN = 10.0
_KEY = "stayfinite/found/{}/{}"
_WRITTEN = "stayfinite/written/{}"


@dataclass(frozen=True)
class FoundByProcess:
    """What one process has found.

    Args:
        rank: Its rank.
        order: What the failure is to it; the smallest is that of the process that explains it.
        folder: The folder of its incident.
    """

    rank: int
    order: int
    folder: str


def is_first() -> bool:
    """Whether this process is the first one, which prints what all of them would."""
    return bool(torch.distributed.get_rank() == 0)


def first_report(step: int, order: int, folder: str) -> tuple[int, FoundByProcess]:
    """The rank of this process, and what that process has found that prints the report.

    Args:
        step: The number of the step.
        order: As in `FoundByProcess`, of this process.
        folder: The folder of its incident.
    """
    store, rank = private.store_of_processes(), torch.distributed.get_rank()
    own = FoundByProcess(rank, order, folder)
    store.set(_KEY.format(step, rank), json.dumps([order, folder]))
    # Of those after it, none is before a process that explains the failure.
    others = range(rank if order == 0 else torch.distributed.get_world_size())
    found, left = [own], [other for other in others if other != rank]
    began = time.monotonic()
    while left and time.monotonic() < began + SECONDS_TO_END:
        is_late = time.monotonic() > began + SECONDS_TO_BEGIN
        try:
            told = [other for other in left if store.check([_KEY.format(step, other)])]
            for other in told:
                found.append(
                    FoundByProcess(other, *json.loads(store.get(_KEY.format(step, other))))
                )
            left = [other for other in left if other not in told]
            left = [other for other in left if has_begun(store, other) or not is_late]
        except RuntimeError:
            break  # a process that has ended may have taken the store with it
        if left:
            time.sleep(SECONDS_BETWEEN)
    return rank, min(found, key=lambda each: (each.order, each.rank))


class EndInTurn:
    """Has a process that prints a report print it, and write its files, before the others end.

    A launcher such as torchrun ends every process when the first one has ended, and all of them may
    write to one run file. Those with a report write in the order of their ranks.
    """

    def __init__(self) -> None:
        self._store: Any = None
        self._own = 0
        self._reporting: set[int] = set()

    def note(self, own: int, reporting: int) -> None:
        """Note the rank of this process, and of the one with the report of a bad step."""
        # The program may leave its group before it ends.
        self._store = private.store_of_processes()
        self._own = own
        self._reporting.add(reporting)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """The block writes the files of this process."""
        if self._own in self._reporting:
            # For lower ranks only, so that no two wait for each other.
            self._wait({rank for rank in self._reporting if rank < self._own}, SECONDS_FOR_TURN)
        elif self._reporting:
            self._wait(self._reporting, SECONDS_TO_WRITE)
        try:
            yield
        finally:
            if self._own in self._reporting:
                # A process that has ended may have taken the store with it.
                with contextlib.suppress(RuntimeError):
                    self._store.set(_WRITTEN.format(self._own), "1")

    def _wait(self, ranks: Collection[int], seconds: float) -> None:
        keys = [_WRITTEN.format(rank) for rank in ranks]
        began = time.monotonic()
        with contextlib.suppress(RuntimeError):
            while keys and not self._store.check(keys) and time.monotonic() < began + seconds:
                time.sleep(SECONDS_BETWEEN)
