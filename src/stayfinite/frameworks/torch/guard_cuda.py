"""The sentinel on CUDA: the device checks and restores, and the host reads the flag later.

The host must not wait for a number of each step, so it cannot choose to apply an update or not.
The old values of weights and slots are kept while the update is applied, and the device chooses
between old and new. The copy is made after the backward pass, when its memory is free again, and
is gone when the step is over.

A step of many small tensors is bound by the launches of the host, so each operation here takes many
tensors in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from stayfinite.frameworks.recorder import Flag, KnownFlag
from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.torch import finite_checks, private
from stayfinite.frameworks.torch.guard_sentinel import SeenSteps, TorchSentinel


class CudaSentinel(TorchSentinel):
    """The sentinel of a model on CUDA. Once a step was bad, no later one is applied either."""

    def __init__(self, subject: Subject, steps: SeenSteps) -> None:
        super().__init__(subject, steps)
        self._ok: Any = None
        self._first_bad: Any = None
        self._assigned: dict[int, Any] = {}

    def _reset(self) -> None:
        super()._reset()
        self._verdicts: list[Any] = []

    def begin(self, subject: Subject) -> None:
        """Begin a step. What the last step assigned, this one will: it is kept in one call."""
        super().begin(subject)
        self._saved.save_all(self._assigned.values())

    def assigning(self, variable: Any) -> None:
        """Keep the old value, and remember the variable for the next step."""
        super().assigning(variable)
        if not self._depth and self._saved.holds(variable):
            self._assigned[id(variable)] = variable

    def _check(self, tensors: Iterable[Any]) -> None:
        self._verdicts += finite_checks.all_finite_on_device(finite_checks.floating(tensors))

    def _check_state(self, tensors: list[Any]) -> None:
        self._check(self._without_kept_infinities(tensors))

    def _check_collapse(self, collapsed: Any) -> None:
        self._verdicts.append(~collapsed)

    def _is_skipped(self) -> bool:
        return False

    def _applied(
        self, optimizer: Any, gradients: list[Any], variables: list[Any], run: Callable[[], Any]
    ) -> Any:
        if not self._under_scale:
            self._check(gradients)
        self._saved.save_all([*variables, *optimizer.variables])
        return self._entered(run)

    def _settle(self, subject: Subject) -> Flag:
        if self._ok is None:
            # One device decides for all: that of the first trainable weight.
            device = private.tensor_of(subject.trainable_variables[0]).device
            self._ok = torch.tensor(True, device=device)
            self._first_bad = torch.tensor(-1, device=device)
        before = self._ok
        if self._bad:
            # It raised, whatever was checked until then.
            self._ok = torch.zeros_like(before)
        elif self._verdicts:
            here = [verdict.to(before.device) for verdict in self._verdicts]
            self._ok = torch.stack([before, *here]).all()
        step = torch.full_like(self._first_bad, self._steps - 1)
        self._first_bad = torch.where(before & ~self._ok, step, self._first_bad)
        self._saved.restore_unless(self._ok)
        self._metrics.restore_unless(self._ok)
        return (
            _FlagOnItsWay(self._first_bad)
            if self._first_bad.is_cuda
            else KnownFlag(int(self._first_bad))
        )


class _FlagOnItsWay:
    """A flag that is being copied to the host."""

    def __init__(self, first_bad: Any) -> None:
        self._host = torch.empty_like(first_bad, device="cpu", pin_memory=True)
        self._host.copy_(first_bad, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record()

    def is_ready(self) -> bool:
        """Whether it has arrived."""
        return bool(self._event.query())

    def __int__(self) -> int:
        self._event.synchronize()
        return int(self._host)
