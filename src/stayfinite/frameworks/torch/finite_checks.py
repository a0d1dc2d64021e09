"""Whether tensors are finite: exactly, and by a sum of squares that is one fast pass."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from stayfinite.frameworks.torch import private


def floating(tensors: Iterable[Any]) -> list[Any]:
    """Those that can hold a NaN; of sparse ones, their values."""
    return [
        private.dense_values(t) if t.is_sparse else t
        for t in tensors
        if isinstance(t, torch.Tensor) and (t.is_floating_point() or t.is_complex())
    ]


def is_finite(tensor: Any) -> bool:
    """Whether every element is finite; integers always are."""
    return bool(torch.isfinite(tensor).all())


def all_finite(tensors: list[Any]) -> bool:
    """Whether every element of all of them is finite."""
    if len(tensors) == 1 and not tensors[0].ndim and not tensors[0].is_complex():
        return math.isfinite(tensors[0].item())
    if not tensors or math.isfinite(norm(tensors)):
        return True
    return all(is_finite(tensor) for tensor in tensors)


def norm(tensors: list[Any]) -> float:
    """A bound on the magnitude of every element; not finite if one is not, or if it overflows."""
    if not tensors:
        return 0.0
    total: float = sum([one.item() for one in private.norms(tensors)])
    return total


def all_finite_on_device(tensors: list[Any]) -> list[Any]:
    """`all_finite` as boolean tensors of one element, without a wait; at least one per device."""
    whole = [t for t in tensors if t.numel() and not t.is_complex()]
    verdicts = [torch.isfinite(t).all() for t in tensors if t.is_complex()]
    for alike in private.alike(whole):
        verdicts.append(torch.isfinite(torch.stack(private.peaks(alike))).all())
    return verdicts
