"""Whether a step is bad each time, on this device and on others.

A fault of memory or of a processor is seen once, or on one device only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stayfinite.experiments.try_change import NotTried, attempt
from stayfinite.frameworks.change import OnBatch, OnDevice
from stayfinite.frameworks.obstacles import Obstacle, WhyNot
from stayfinite.frameworks.step import Outcome, Step
from stayfinite.incident import RecurrenceKind

NUM_RERUNS = 5
# Of a step that is bad op by op, which a fault seldom is twice.
_NUM_RERUNS_OP_BY_OP = 3
# Seconds after which no further run is begun.
_LONGEST = 10.0
_LONGEST_OP_BY_OP = 2.0
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
        op_by_op: For each run of the step op by op, whether it was non-finite. There is one of a
            step that was finite in it.
        compiled: For each run of the step as it was compiled, whether it was non-finite again. None
            were made of a step that is bad op by op.
        devices: The step on other devices.
        is_other_program: Whether what runs op by op is known to be another program.
    """

    op_by_op: tuple[bool, ...]
    compiled: tuple[bool, ...]
    devices: tuple[OtherDevice, ...]
    is_other_program: bool = False

    @property
    def is_bad_op_by_op(self) -> bool:
        """Whether the first run op by op was non-finite."""
        return self.op_by_op[0]

    @property
    def is_reproduced(self) -> bool:
        """Whether every run op by op was non-finite, so that a cause can be looked for in one."""
        return all(self.op_by_op)

    @property
    def runs(self) -> tuple[bool, ...]:
        """The runs that say whether the step is bad each time."""
        return self.op_by_op if self.is_bad_op_by_op else self.compiled

    @property
    def kind(self) -> RecurrenceKind:
        """What the runs show together."""
        if self.is_bad_op_by_op and not self.is_reproduced:
            return "intermittent"
        if not self.is_bad_op_by_op:
            num_bad = sum(self.compiled)
            if self.is_other_program:
                return "other-program"
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
    is_same_program: Callable[[], bool | None] = lambda: None,
) -> Recurrences:
    """Run a bad step again, and on other devices: compiled, where it is finite op by op.

    Args:
        step: The step.
        outcome: What it gave op by op.
        first_run: Seconds of that run.
        rerun: Runs the compiled step; returns whether it is non-finite.
        devices: The names of other devices.
        is_same_program: Whether what runs op by op is the compiled program; None if not known.
    """
    op_by_op, compiled, is_other = [is_bad(outcome)], list[bool](), False
    if not op_by_op[0]:
        is_other = is_same_program() is False
        compiled += _runs(rerun, NUM_RERUNS, _LONGEST)
    elif first_run <= _LONGEST_FIRST_RUN:
        # A step on a batch is another step, which keeps nothing of the run before.
        same = OnBatch(step.batch)
        op_by_op += _runs(lambda: is_bad(step.run(same)), _NUM_RERUNS_OP_BY_OP, _LONGEST_OP_BY_OP)
    on_devices = tuple(_on(step, device, first_run) for device in devices)
    return Recurrences(tuple(op_by_op), tuple(compiled), on_devices, is_other)


def _runs(run: Callable[[], bool], at_most: int, longest: float) -> Iterator[bool]:
    """The results of up to `at_most` runs; none is begun after `longest` seconds but the first."""
    began = time.perf_counter()
    for number in range(at_most):
        if number and time.perf_counter() - began > longest:
            return
        yield run()


def _on(step: Step, device: str, first_run: float) -> OtherDevice:
    if first_run > _LONGEST_FIRST_RUN:
        return OtherDevice(device, NotTried(None, WhyNot(Obstacle.LONG_RUN, number=first_run)))
    return OtherDevice(device, attempt(lambda: step.run(OnDevice(device))))
