"""Tensors that are sharded over processes, as the weights of FSDP2: judged by all of them together.

Every process applies its optimizer at the same time, so each can wait for a number of the others.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from stayfinite.frameworks.torch import finite_checks, private

_MODULE = "torch.distributed.tensor"


def is_sharded(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether one of `tensors` has only a part of its elements in this process."""
    return _MODULE in sys.modules and any(_is_distributed(tensor) for tensor in tensors)


def local(tensor: Any) -> Any:
    """The part of a tensor that is in this process; a tensor of this process as it is."""
    return tensor.to_local() if _is_distributed(tensor) else tensor


def bound_of(tensors: Sequence[torch.Tensor]) -> float:
    """A bound on the magnitude of every element in all processes, the same in each of them."""
    norms = [norm.float().cpu() for norm in private.norms([local(tensor) for tensor in tensors])]
    return _over_processes(torch.stack(norms).sum(), tensors, torch.distributed.ReduceOp.SUM)


def all_finite(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether every element in all processes is finite, the same in each of them."""
    here = finite_checks.all_finite(finite_checks.floating([local(each) for each in tensors]))
    bad = torch.tensor(0.0 if here else 1.0)
    return _over_processes(bad, tensors, torch.distributed.ReduceOp.MAX) == 0.0


def _over_processes(value: torch.Tensor, tensors: Sequence[torch.Tensor], how: Any) -> float:
    mesh: Any = next(each for each in tensors if _is_distributed(each)).device_mesh
    value = value.to(mesh.device_type)
    for dimension in range(mesh.ndim):
        torch.distributed.all_reduce(value, how, group=mesh.get_group(dimension))
    return float(value.item())


def _is_distributed(tensor: Any) -> Any:
    module = sys.modules.get(_MODULE)
    return module is not None and isinstance(tensor, module.DTensor)
