"""Settings of an optimizer that stay changed for the rest of a training.

A loop or a schedule may set the learning rate before each step. So the settings are replaced while
the optimizer is applied, and put back after it. A lowered learning rate is a limit: later ones that
a schedule sets are multiplied by the same factor, and do not rise above it.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable
from typing import Any

import torch

from stayfinite.frameworks.change import ClipNorm, HighestRate, LastingChange, LearningRate
from stayfinite.frameworks.torch.plain.optimizer import TorchOptimizer, clip, clips


class LastingSettings:
    """The settings with which one optimizer is applied from now on.

    Args:
        optimizer: The optimizer.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = weakref.ref(optimizer)
        self._factor = 1.0
        self._limits: list[float] = []
        self._values: dict[str, Any] = {}
        self._applying: contextlib.ExitStack | None = None
        optimizer.register_step_pre_hook(self._before)
        optimizer.register_step_post_hook(self._after)

    def add(self, change: LastingChange) -> None:
        """Make one more change, relative to the settings of now."""
        optimizer = self._optimizer()
        if isinstance(change, LearningRate | HighestRate):
            if optimizer is not None:
                self._lower(optimizer, change)
            return
        settings = change.settings() if isinstance(change, ClipNorm) else change
        values = dict(settings.values)
        rate = values.get("learning_rate")
        if isinstance(rate, float) and optimizer is not None:
            present = float(optimizer.param_groups[0]["lr"])
            if math.isfinite(present) and present > 0:
                # So that the rate goes on to follow its schedule.
                self._factor = rate / present
                del values["learning_rate"]
        self._values.update(values)

    def _lower(self, optimizer: torch.optim.Optimizer, change: LearningRate | HighestRate) -> None:
        factor = change.factor if isinstance(change, LearningRate) else 1.0
        highest: list[float] = []
        if isinstance(change, HighestRate):
            # Groups with rates of their own keep their proportions to the first.
            rates = [float(group["lr"]) for group in optimizer.param_groups]
            highest = [change.rate * (rate / rates[0]) for rate in rates]
        with TorchOptimizer(optimizer, {}).scaled(factor, highest), self._in_force(optimizer):
            self._limits = [float(group["lr"]) for group in optimizer.param_groups]
        self._factor *= factor

    def _in_force(self, optimizer: torch.optim.Optimizer) -> contextlib.ExitStack:
        """The settings replaced until the result is closed."""
        own, replaced = TorchOptimizer(optimizer, {}), contextlib.ExitStack()
        replaced.enter_context(own.settings(self._values))
        replaced.enter_context(own.scaled(self._factor, self._limits))
        return replaced

    def begin(self) -> None:
        """Replace the settings, and clip the gradients, of a step that is about to be applied."""
        optimizer = self._optimizer()
        if self._applying is not None or optimizer is None:
            return
        self._applying = self._in_force(optimizer)
        clip(optimizer, clips(self._values))

    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if not callable(closure):
            self.begin()
            return None
        # The gradients are made by the closure.
        following = _followed(closure, self.begin)
        if "closure" in kwargs:
            return args, {**kwargs, "closure": following}
        return (args[0], following, *args[2:]), kwargs

    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._applying is not None:
            self._applying.close()
            self._applying = None


_SETTINGS: weakref.WeakKeyDictionary[torch.optim.Optimizer, LastingSettings] = (
    weakref.WeakKeyDictionary()
)


def lasting_settings(optimizer: torch.optim.Optimizer) -> LastingSettings:
    """Those of `optimizer`, made at the first call."""
    if optimizer not in _SETTINGS:
        _SETTINGS[optimizer] = LastingSettings(optimizer)
    return _SETTINGS[optimizer]


def _followed(closure: Callable[[], Any], then: Callable[[], None]) -> Callable[[], Any]:
    def called() -> Any:
        result = closure()
        then()
        return result

    return called
