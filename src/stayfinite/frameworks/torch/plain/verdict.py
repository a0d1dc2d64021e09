"""Whether an optimizer may be applied: gradients, the update to come, and the state after it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from stayfinite.frameworks.torch import finite_checks, private
from stayfinite.frameworks.torch.plain import sharded
from stayfinite.frameworks.torch.plain.optimizer import parameters_of

# Optimizers whose update is finite if gradients, weights, slots and settings are.
_BOUNDED: dict[type, tuple[str, ...]] = {
    torch.optim.SGD: ("lr", "momentum", "weight_decay", "dampening"),
    torch.optim.Adam: ("lr", "eps", "weight_decay", "betas"),
    torch.optim.AdamW: ("lr", "eps", "weight_decay", "betas"),
    torch.optim.RMSprop: ("lr", "eps", "weight_decay", "momentum"),
    torch.optim.Adagrad: ("lr", "eps", "weight_decay"),
    torch.optim.Adadelta: ("lr", "eps", "weight_decay"),
    torch.optim.Adamax: ("lr", "eps", "weight_decay", "betas"),
    torch.optim.NAdam: ("lr", "eps", "weight_decay", "betas"),
    torch.optim.RAdam: ("lr", "eps", "weight_decay", "betas"),
}
# Up to so many numbers are read faster one by one than as one tensor.
_FEW = 64
# Elements of a tensor that is copied to be judged with others.
_SMALL = 4096
# So many elements in all are judged as one copy: that is faster than to read each tensor.
_ALL_SMALL = 32_768
# A square of a gradient must have room in float32, and a sum of them.
_LARGEST_GRADIENT = 1e15
_LARGEST_RATE = 1e3
_LARGEST_UPDATE = 1e20
_SMALLEST_EPSILON = 1e-20
_WIDE = frozenset((torch.float32, torch.float64))
_PLAIN = {torch.Tensor}


def bound_of(tensors: list[torch.Tensor]) -> float:
    """A bound on the magnitude of every element; NaN or infinity where one may not be finite.

    On CUDA the host waits for one number a device and dtype.
    """
    if not tensors:
        return 0.0
    if {*map(type, tensors)} != _PLAIN and sharded.is_sharded(tensors):
        return sharded.bound_of(tensors)
    if tensors[0].is_cpu:
        if len(tensors) <= _FEW and sum([tensor.numel() for tensor in tensors]) <= _ALL_SMALL:
            bound = _bound_of_copy(tensors)
            if bound is not None:
                return bound
        tensors = _joined(tensors)
        if len(tensors) <= _FEW:
            return float(sum([norm.item() for norm in private.norms(tensors)]))
    total = 0.0
    for alike in private.alike(tensors):
        total += torch.stack(private.norms(alike)).float().sum().item()
    return total


def _bound_of_copy(tensors: list[torch.Tensor]) -> float | None:
    """The norm of all elements; None where the tensors are not on a CPU, or not alike and wide."""
    if {*map(type, tensors)} != _PLAIN or not all([tensor.is_cpu for tensor in tensors]):
        return None
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) > 1 or not dtypes <= _WIDE:
        return None
    copy = private.flattened(tensors)
    return math.sqrt(copy.dot(copy).item())


def _joined(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """The same elements, with those of small float32 tensors on a CPU in one tensor."""
    small: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for tensor in tensors:
        is_small = tensor.numel() <= _SMALL and tensor.dtype == torch.float32
        is_joined = is_small and tensor.is_cpu and type(tensor) is torch.Tensor
        (small if is_joined else others).append(tensor)
    # A copy of a few takes less time than a norm of each.
    return [*others, private.flattened(small)] if len(small) > 2 else tensors


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether every element is finite, exactly."""
    if sharded.is_sharded(tensors):
        return sharded.all_finite(tensors)
    return finite_checks.all_finite(finite_checks.floating(tensors))


def keeps_its_infinities(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether `after` is finite, but for infinities that were there before the step."""
    return bool((after.isfinite() | (after.isinf() & (after == before))).all())


def is_finite(loss: torch.Tensor) -> bool:
    """Whether every element of a loss is finite."""
    return math.isfinite(loss.item()) if loss.numel() == 1 else all_finite([loss])


def is_bounded(optimizer: torch.optim.Optimizer) -> bool:
    """Whether it makes one update of one gradient, which an `UpdateProof` may be of."""
    return type(optimizer) in _BOUNDED


class UpdateProof:
    """Whether an update by one optimizer cannot make a finite state non-finite.

    The bound is about float32 and wider weights. Settings are looked at again where they change.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._names = _BOUNDED.get(type(optimizer))
        self._bounded: list[Any] = []

    def holds(self, optimizer: torch.optim.Optimizer, gradient: float) -> bool:
        """Whether it is known of an update by gradients of at most `gradient`."""
        names = self._names
        if names is None or not gradient <= _LARGEST_GRADIENT:
            return False
        groups = optimizer.param_groups
        values = [group.get(name) for group in groups for name in names]
        if values != self._bounded:
            num = len(names)
            each = [values[first : first + num] for first in range(0, len(values), num)]
            if not all(_are_bounded(names, given) for given in each):
                return False
            # A list could be changed where it is.
            self._bounded = [] if any(type(value) is list for value in values) else values
        for group in groups:
            if not group["lr"] * gradient <= _LARGEST_UPDATE:
                return False
            if not _WIDE.issuperset([parameter.dtype for parameter in group["params"]]):
                return False
        return True


def _are_bounded(names: Sequence[str], values: Sequence[Any]) -> bool:
    """Whether settings of these names have the values of a usual optimizer."""
    for value in values:
        for number in value if isinstance(value, tuple | list) else (value,):
            if not isinstance(number, int | float | None) or not math.isfinite(number or 0.0):
                return False
    group = dict(zip(names, values, strict=True))
    rate = group["lr"]
    if not 0 <= rate <= _LARGEST_RATE or rate * (group.get("weight_decay") or 0.0) > 1:
        return False
    if "eps" in group and not group["eps"] >= _SMALLEST_EPSILON:
        return False
    if not 0 <= (group.get("momentum") or 0.0) < 1:
        return False
    return all(0 <= beta < 1 for beta in group.get("betas") or ())


def state_of_update(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """The tensors that an update writes to."""
    found = []
    for parameter in parameters_of(optimizer):
        found.append(parameter)
        found += [v for v in optimizer.state.get(parameter, {}).values() if _is_slot(v)]
    return found


def _is_slot(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
