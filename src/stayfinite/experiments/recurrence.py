"""Whether a step is bad each time, on this device and on others.

A fault of memory or of a processor is seen once, or on one device only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.change import OnDevice
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.incident import RecurrenceKind

NUM_RERUNS = 5
# Seconds after which no further run is begun.
_LONGEST = 10.0
# Seconds of a first run, which may compile the step; on another device it is compiled again.
_LONGEST_FIRST_RUN = 20.0


@dataclass(frozen=True)
class OtherDevice:
    """The step op by op on another device: what it gave, or why it was not run."""

    name: str
    result: Outcome | NotTried

    @property
    def is_bad(self) -> bool | None:
        """Whether it was non-finite there; None if it was not run."""
        return None if isinstance(self.result, NotTried) else is_bad(self.result)


@dataclass(frozen=True)
class Recurrences:
    """The runs of a step after the bad one.

    Attributes:
        is_bad_op_by_op: Whether the step was non-finite when it was run op by op.
        compiled: For each run of the step as it was compiled, whether it was non-finite again. None
            were made of a step that is bad op by op.
        devices: The step on other devices.
    """

    is_bad_op_by_op: bool
    compiled: tuple[bool, ...]
    devices: tuple[OtherDevice, ...]

    @property
    def kind(self) -> RecurrenceKind:
        """What the runs show together."""
        if not self.is_bad_op_by_op:
            num_bad = sum(self.compiled)
            if num_bad == len(self.compiled):
                return "compiled-only"
            return "intermittent" if num_bad else "transient"
        known = [device.is_bad for device in self.devices if device.is_bad is not None]
        if not known:
            return "persistent"
        return "everywhere" if all(known) else "persistent-on-device"


def is_bad(outcome: Outcome) -> bool:
    """Whether a run of the step was non-finite."""
    return not outcome.finite or bool(outcome.bad_gradients)


def run_again(
    step: Step,
    outcome: Outcome,
    first_run: float,
    rerun: Callable[[], bool],
    devices: Sequence[str],
) -> Recurrences:
    """Run a bad step again: compiled, where it is finite op by op, and on other devices.

    Args:
        step: The step.
        outcome: What it gave op by op.
        first_run: Seconds of that run.
        rerun: Runs the compiled step; returns whether it is non-finite.
        devices: The names of other devices.
    """
    began = time.perf_counter()
    compiled: list[bool] = []
    bad = is_bad(outcome)
    while not bad and len(compiled) < NUM_RERUNS:
        if compiled and time.perf_counter() - began > _LONGEST:
            break
        compiled.append(rerun())
    return Recurrences(
        bad, tuple(compiled), tuple(_on(step, device, first_run) for device in devices)
    )


def _on(step: Step, device: str, first_run: float) -> OtherDevice:
    if first_run > _LONGEST_FIRST_RUN:
        return OtherDevice(device, NotTried(None, f"a run takes {first_run:.0f} s"))
    return OtherDevice(device, attempt(lambda: step.run(OnDevice(device))))
