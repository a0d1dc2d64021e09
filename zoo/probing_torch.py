"""`python -m zoo.probing_torch STEP FILE SCRIPT`: as `zoo.probing`, of a loop over plain PyTorch.

Runs the script to its end and records, for each optimizer that reaches its step STEP, the loss and
the gradients of that step and the parameters before and after it. Every call of
`Optimizer.step` is a step of that optimizer, also one that a `GradScaler` skips. The loss is the
sum of what was differentiated since its step before, without the loss scale.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.gradients import Array
from zoo.records import Record


class OptimizerSteps:
    """Counts the steps of each optimizer and records the one that is asked for."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.records: list[Record] = []
        self._done: dict[int, int] = {}
        self._optimizers: list[Any] = []  # keeps their ids from being used again
        self._losses: dict[int, float] = {}
        self._sum = 0.0
        self._unscaled: list[tuple[Any, Any]] = []  # what a scaler made, and of what

    def differentiate(self, tensors: Any) -> None:
        """Note the value of what is differentiated now."""
        for tensor in tensors if isinstance(tensors, Sequence) else [tensors]:
            plain = next((loss for scaled, loss in self._unscaled if scaled is tensor), tensor)
            self._sum += float(plain.detach().double().sum())
        self._unscaled.clear()

    def scale(self, scaled: Any, loss: Any) -> None:
        """Note that `scaled` stands for `loss`."""
        self._unscaled.append((scaled, loss))

    def begin(self, optimizer: Any) -> None:
        """A call of `step` begins."""
        if id(optimizer) not in self._done:
            self._optimizers.append(optimizer)
            self._done[id(optimizer)] = 0
        if self._done[id(optimizer)] == self.step:
            before = [_array(parameter) for parameter in _parameters(optimizer)]
            self.records.append(Record(before, [True] * len(before)))

    def end(self, optimizer: Any) -> None:
        """A call of `step` ends."""
        if self._done[id(optimizer)] == self.step:
            record = self.records[-1]
            parameters = _parameters(optimizer)
            record.after = [_array(parameter) for parameter in parameters]
            record.gradients = {
                str(i): _array(parameter.grad)
                for i, parameter in enumerate(parameters)
                if parameter.grad is not None
            }
            loss = self._sum - self._losses.get(id(optimizer), 0.0)
            record.logs = {"loss": np.asarray(loss, "float64")}
        self.count(optimizer)

    def count(self, optimizer: Any) -> None:
        """Count one step of this optimizer, made or skipped."""
        if id(optimizer) not in self._done:
            self._optimizers.append(optimizer)
        self._done[id(optimizer)] = self._done.get(id(optimizer), 0) + 1
        # A sum that is not finite would take all that follows with it.
        self._sum = self._sum if np.isfinite(self._sum) else 0.0
        self._losses[id(optimizer)] = self._sum

    def num_done(self, optimizer: Any) -> int:
        """How many steps of this optimizer have ended."""
        return self._done.get(id(optimizer), 0)

    @property
    def num_steps(self) -> int:
        """The steps of the optimizer that has made most."""
        return max(self._done.values(), default=0)


def _parameters(optimizer: Any) -> list[Any]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _array(tensor: Any) -> Array:
    dense = tensor.to_dense() if tensor.is_sparse else tensor
    return np.asarray(dense.detach().float().cpu().numpy()).copy()


def watch(steps: OptimizerSteps) -> None:
    """From now on, `steps` hears of every step of this process."""
    import torch
    from torch.optim import optimizer as optim

    optim.register_optimizer_step_pre_hook(lambda optimizer, *_: steps.begin(optimizer))
    optim.register_optimizer_step_post_hook(lambda optimizer, *_: steps.end(optimizer))
    backward = torch.autograd.backward

    def noting_backward(tensors: Any, *arguments: Any, **options: Any) -> None:
        steps.differentiate(tensors)
        backward(tensors, *arguments, **options)

    torch.autograd.backward = noting_backward
    scaler: Any = torch.amp.GradScaler
    scale, step = scaler.scale, scaler.step

    def noting_scale(self: Any, outputs: Any) -> Any:
        scaled = scale(self, outputs)
        steps.scale(scaled, outputs)
        return scaled

    def noting_step(self: Any, optimizer: Any, *arguments: Any, **options: Any) -> Any:
        done = steps.num_done(optimizer)
        result = step(self, optimizer, *arguments, **options)
        if steps.num_done(optimizer) == done:
            steps.count(optimizer)
        return result

    scaler.scale, scaler.step = noting_scale, noting_step


def main(arguments: Sequence[str], watch: Callable[[OptimizerSteps], None] = watch) -> None:
    """Run the script as `__main__`; its exceptions pass through, after what is known is written."""
    step, file, script = int(arguments[0]), Path(arguments[1]).resolve(), arguments[2]
    steps = OptimizerSteps(step)
    watch(steps)
    sys.argv = [script]
    sys.path[0] = str(Path(script).resolve().parent)
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        arrays: dict[str, Array] = {}
        for i, record in enumerate(steps.records):
            arrays |= record.arrays(str(i))
        np.savez(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
