"""The kinds of faults, as data. The share of a kind is its number of injections of 500."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["loss", "gradients", "batch", "weights", "moments", "statistics"]
Value = Literal["NaN", "inf", "huge value", "bit flip"]


@dataclass(frozen=True)
class NumberFault:
    """One number of a running training is changed.

    `rolled_back` says whether one of the state is met by the policy `rollback` instead of `stop`.
    """

    value: Value
    place: Place
    share: int
    rolled_back: bool = False

    @property
    def name(self) -> str:
        return f"{self.value}, {self.place}{', rollback' if self.rolled_back else ''}"


@dataclass(frozen=True)
class ProcessFault:
    """Something happens to a running process, or to a folder that it writes.

    `when` says where the moment is drawn: among the steps, or among the accesses to the folder of
    the checkpoints or of the incidents.
    """

    action: Literal[
        "SIGKILL",
        "SIGTERM",
        "SIGINT",
        "callback raises",
        "disk full",
        "read-only",
        "slow disk",
        "folder deleted",
        "two runs",
    ]
    when: Literal["step", "checkpoints", "incidents"]
    share: int

    @property
    def name(self) -> str:
        return f"{self.action}, {'any step' if self.when == 'step' else self.when}"

    @property
    def ends_the_run(self) -> bool:
        """Whether the process ends at the fault, so that another one has to go on."""
        return self.action.startswith("SIG") or self.action == "callback raises"


NUMBERS = (
    *(NumberFault(value, "loss", 16) for value in ("NaN", "inf", "huge value")),
    *(NumberFault(value, "gradients", 16) for value in ("NaN", "inf", "huge value")),
    *(NumberFault(value, "batch", 16) for value in ("NaN", "inf", "huge value")),
    NumberFault("bit flip", "batch", 100),
    *(
        NumberFault(value, place, 5)
        for place in ("weights", "moments", "statistics")
        for value in ("NaN", "inf", "huge value")
    ),
    *(NumberFault("bit flip", place, 45) for place in ("weights", "moments", "statistics")),
    *(
        NumberFault(value, "moments", share, rolled_back=True)
        for value, share in (("huge value", 10), ("bit flip", 45))
    ),
)
PROCESSES = (
    *(
        ProcessFault(action, when, 6)
        for action in ("SIGKILL", "SIGTERM", "SIGINT")
        for when in ("step", "checkpoints", "incidents")
    ),
    ProcessFault("callback raises", "step", 6),
    *(
        ProcessFault(action, when, 3)
        for action in ("disk full", "read-only", "slow disk", "folder deleted", "two runs")
        for when in ("checkpoints", "incidents")
    ),
)
