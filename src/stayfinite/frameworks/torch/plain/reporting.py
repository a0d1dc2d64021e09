"""Which of several processes prints the report of a step that all of them have judged to be bad.

Each process has made its part of the step again by itself. What it found is put into the store by
which the processes have found each other. It is so too for the line of a step that is left out.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import torch

from stayfinite.frameworks.torch.plain import private
from stayfinite.frameworks.torch.plain.processes import (
    SECONDS_BETWEEN,
    SECONDS_TO_BEGIN,
    SECONDS_TO_END,
    has_begun,
)

_KEY = "stayfinite/found/{}/{}"


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
