"""Whether an optimizer may be applied: gradients, the update to come, and the state after it."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from typing import Any

import torch

from stayfinite.frameworks.torch import finite_checks, private
from stayfinite.frameworks.torch.plain import sharded
from stayfinite.frameworks.torch.plain.clipped import ClippedNorm
from stayfinite.frameworks.torch.plain.optimizer import gradients_of, parameters_of
from stayfinite.frameworks.torch.plain.private_hooks import has_own_hooks

# Optimizers whose update is finite if gradients, weights, slots and settings are.
_BOUNDED: dict[type, tuple[str, ...]] = {
    torch.optim.SGD: ("lr", "momentum", "weight_decay", "dampening"),
    torch.optim.Adam: ("lr", "eps", "weight_decay", "betas"),
    torch.optim.AdamW: ("lr", "eps", "weight_decay", "betas"),
    torch.optim.RMSprop: ("lr", "eps", "weight_decay", "momentum", "alpha", "centered"),
    torch.optim.Adagrad: ("lr", "eps", "weight_decay", "lr_decay"),
    torch.optim.Adadelta: ("lr", "eps", "weight_decay", "rho"),
    torch.optim.Adamax: ("lr", "eps", "weight_decay", "betas"),
    torch.optim.NAdam: ("lr", "eps", "weight_decay", "betas", "momentum_decay"),
    torch.optim.RAdam: ("lr", "eps", "weight_decay", "betas"),
}
# Tensors of up to so many elements each, and in all, are judged as one copy: that is faster than to
# read each of them.
_SMALL = 4096
_ALL_SMALL = 262_144
# A square of a gradient must have room in float32, and a sum of them, and a gradient times a rate.
_LARGEST_GRADIENT = 1e15
_LARGEST_RATE = 1e3
_SMALLEST_EPSILON = 1e-20
_WIDE = frozenset((torch.float32, torch.float64))
_PLAIN = {torch.Tensor}
_dtype_of = operator.attrgetter("dtype")
_gradient_of = operator.attrgetter("grad")


def bound_of_gradients(optimizer: torch.optim.Optimizer) -> float:
    """`bound_of` the gradients that `optimizer` would be given now."""
    gradients = [
        gradient
        for group in optimizer.param_groups
        for parameter in group["params"]
        if (gradient := parameter.grad) is not None
    ]
    norm = _norm_of_wide(gradients)
    return bound_of(gradients_of(optimizer)) if norm is None else norm


def bound_of(tensors: list[torch.Tensor]) -> float:
    """A bound on the magnitude of every element; NaN or infinity where one may not be finite.

    On CUDA the host waits for one number a device and dtype.
    """
    if not tensors:
        return 0.0
    if sharded.is_sharded(tensors):
        return sharded.bound_of(tensors)
    total = _norm_of_wide(tensors)
    if total is None:
        sums = [torch.stack(private.norms(each)).float().sum() for each in private.alike(tensors)]
        total = float(sum([each.item() for each in sums]))
    return total


def _norm_of_wide(tensors: list[torch.Tensor]) -> float | None:
    """The norm of all elements; None where they are not in plain tensors on a CPU, or in half."""
    if not _are_wide_on_cpu(tensors):
        return None
    try:
        return math.sqrt(_Parts(tensors).sum_of_squares(tensors))
    except RuntimeError:  # one is sparse, or on another device
        return None


def _are_wide_on_cpu(tensors: list[torch.Tensor]) -> bool:
    is_plain = bool(tensors) and {*map(type, tensors)} == _PLAIN and tensors[0].is_cpu
    return is_plain and _WIDE.issuperset([tensor.dtype for tensor in tensors])


class _Parts:
    """Which of a list of tensors are small; others of the same sizes may take their place."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        sizes = [tensor.numel() for tensor in tensors]
        copied = [number for number, size in enumerate(sizes) if size <= _SMALL]
        if sum([sizes[number] for number in copied]) > _ALL_SMALL:
            copied = []
        self._are_all = len(copied) == len(sizes)
        self._copied = copied
        self._read = [n for n, size in enumerate(sizes) if size > _SMALL or not copied]

    def sum_of_squares(self, tensors: list[torch.Tensor]) -> float:
        """The sum of the squares of all elements."""
        if self._are_all:
            return private.sum_of_squares(tensors, [])
        at = tensors.__getitem__
        return private.sum_of_squares([*map(at, self._copied)], [*map(at, self._read)])


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether every element is finite, exactly."""
    if sharded.is_sharded(tensors):
        return sharded.all_finite(tensors)
    return finite_checks.all_finite(finite_checks.floating(tensors))


def is_unspoilt(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Whether `after` is finite, but for what was not before, and for -inf as in masks."""
    is_kept = (after == before) | (after.isnan() & before.isnan())
    return bool((after.isfinite() | after.isneginf() | is_kept).all())


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
        self._names = _BOUNDED.get(type(optimizer), ())
        self._settings = operator.itemgetter(*(self._names or ("lr",)))
        self._bounded: list[tuple[Any, ...]] = []
        self._num_tensors = 0
        self._parts = _Parts(())

    def holds_now(
        self,
        optimizer: torch.optim.Optimizer,
        others: Sequence[torch.Tensor],
        clipped: ClippedNorm,
    ) -> list[torch.Tensor] | None:
        """The present gradients, if it is known of an update by them; found in the least time.

        What kind of tensors they are is looked at again where their number changes.

        Args:
            optimizer: The optimizer.
            others: Tensors that have to be finite as well.
            clipped: Has the norm of the gradients, if the loop has just clipped them.

        Returns:
            The gradients, or None. The optimizer gets at them in less time while they are held.
        """
        groups = optimizer.param_groups
        is_known = [*map(self._settings, groups)] == self._bounded
        if not ((is_known and not has_own_hooks(optimizer)) or self.holds(optimizer, 0.0)):
            return None
        parameters = groups[0]["params"]
        if len(groups) > 1:
            parameters = [each for group in groups for each in group["params"]]
        gradients = [each for each in map(_gradient_of, parameters) if each is not None]
        if not _WIDE.issuperset(map(_dtype_of, parameters)):
            return None
        bound = None if clipped.last is None else clipped.bound_of(gradients, sys._getframe())
        if bound is not None and not bound <= _LARGEST_GRADIENT:
            return None
        tensors = gradients if bound is None else []
        if others:
            tensors = [*tensors, *others]
        elif bound is not None:
            return gradients
        if len(tensors) != self._num_tensors:
            self._num_tensors = 0
            if not _are_wide_on_cpu(tensors):
                return None
            self._num_tensors = len(tensors)
            self._parts = _Parts(tensors)
        try:
            squares = self._parts.sum_of_squares(tensors)
        except RuntimeError:
            return None
        return gradients if squares <= _LARGEST_GRADIENT**2 else None

    def holds(self, optimizer: torch.optim.Optimizer, gradient: float) -> bool:
        """Whether it is known of an update by gradients of at most `gradient`."""
        if not self._names or not gradient <= _LARGEST_GRADIENT:
            return False
        if has_own_hooks(optimizer):  # they may write to the gradients
            return False
        groups = optimizer.param_groups
        values = [self._settings(group) for group in groups]
        if values != self._bounded:
            if not all(_are_bounded(self._names, given) for given in values):
                return False
            # A list could be changed where it is.
            has_lists = any(type(value) is list for given in values for value in given)
            self._bounded = [] if has_lists else values
        return _WIDE.issuperset([each.dtype for group in groups for each in group["params"]])


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
    if not all(0 <= group.get(name, 0.0) <= 1 for name in ("alpha", "rho")):
        return False
    # The variance of `centered` is a difference, which rounding can make negative under its root.
    if group.get("centered") or any(group.get(n, 0.0) < 0 for n in ("lr_decay", "momentum_decay")):
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
