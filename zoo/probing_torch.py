"""`python -m zoo.probing_torch STEP FILE SCRIPT`: as `zoo.probing`, of a loop over plain PyTorch.

Runs the script to its end and records the loss and the gradients of step STEP and the parameters of
its optimizer before and after it. Every call of the `step` of an optimizer is a step, also one that
a `GradScaler` skips. The loss is the sum of what was differentiated since the step before, without
the loss scale.
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
    """Counts the steps of all optimizers and records the one that is asked for."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.num_done = 0
        self.record: Record | None = None
        self._loss = 0.0
        self._unscaled: list[tuple[Any, Any]] = []  # what a scaler made, and of what

    def differentiate(self, tensors: Any) -> None:
        """Note the value of what is differentiated now."""
        for tensor in tensors if isinstance(tensors, Sequence) else [tensors]:
            plain = next((loss for scaled, loss in self._unscaled if scaled is tensor), tensor)
            self._loss += float(plain.detach().double().sum())
        self._unscaled.clear()

    def scale(self, scaled: Any, loss: Any) -> None:
        """Note that `scaled` stands for `loss`."""
        self._unscaled.append((scaled, loss))

    def begin(self, optimizer: Any) -> None:
        """A call of `step` begins."""
        if self.num_done == self.step:
            before = [_array(parameter) for parameter in _parameters(optimizer)]
            self.record = Record(before, [True] * len(before))

    def end(self, optimizer: Any) -> None:
        """A call of `step` ends."""
        if self.record is not None and self.num_done == self.step:
            parameters = _parameters(optimizer)
            self.record.after = [_array(parameter) for parameter in parameters]
            self.record.gradients = {
                str(i): _array(parameter.grad)
                for i, parameter in enumerate(parameters)
                if parameter.grad is not None
            }
            self.record.logs = {"loss": np.asarray(self._loss, "float64")}
        self.count()

    def count(self) -> None:
        """Count one step, made or skipped."""
        self.num_done += 1
        self._loss = 0.0


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
        done = steps.num_done
        result = step(self, optimizer, *arguments, **options)
        if steps.num_done == done:
            steps.count()
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
        arrays = {} if steps.record is None else steps.record.arrays("0")
        np.savez(file, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
