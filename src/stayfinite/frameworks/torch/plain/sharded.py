"""Tensors that are sharded over processes, as the weights of FSDP: judged by all of them together.

Every process applies its optimizer at the same time, so each can wait for a number of the others.
The parts of FSDP2 are of a type of their own. Those of `FullyShardedDataParallel` are plain tensors
beside parameters with a mark, so that whoever judges them says that they are parts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch

from stayfinite.frameworks.torch import finite_checks
from stayfinite.frameworks.torch import private as torch_private
from stayfinite.frameworks.torch.plain import private

_MODULE = "torch.distributed.tensor"


def is_sharded(tensors: Sequence[torch.Tensor]) -> bool:
    """Whether one of `tensors` has only a part of its elements in this process."""
    return is_flattened(tensors) or (
        _MODULE in sys.modules and any(_is_distributed(tensor) for tensor in tensors)
    )


def is_flattened(parameters: Sequence[torch.Tensor]) -> bool:
    """Whether a `FullyShardedDataParallel` holds one of them."""
    return any(private.is_flattened(parameter) for parameter in parameters)


def local(tensor: Any) -> Any:
    """The part of a tensor that is in this process; a tensor of this process as it is."""
    return tensor.to_local() if _is_distributed(tensor) else tensor


def bound_of(tensors: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor] = ()) -> float:
    """A bound on the magnitude of every element in all processes, the same in each of them.

    Args:
        tensors: The parts in this process.
        parameters: Where there may be none, what they are gradients of.
    """
    norms = torch_private.norms([local(tensor) for tensor in tensors])
    value = torch.stack([norm.float().cpu() for norm in norms]).sum() if norms else torch.zeros(())
    return _over_processes(value, (*tensors, *parameters), torch.distributed.ReduceOp.SUM)


def all_finite(tensors: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor] = ()) -> bool:
    """Whether every element in all processes is finite, the same in each of them."""
    here = finite_checks.all_finite(finite_checks.floating([local(each) for each in tensors]))
    bad = torch.tensor(0.0 if here else 1.0)
    whole = (*tensors, *parameters)
    return _over_processes(bad, whole, torch.distributed.ReduceOp.MAX) == 0.0


def _over_processes(value: torch.Tensor, tensors: Sequence[torch.Tensor], how: Any) -> float:
    mesh: Any = next((each.device_mesh for each in tensors if _is_distributed(each)), None)
    value = value.to(mesh.device_type if mesh is not None else tensors[0].device)
    groups = [None] if mesh is None else [mesh.get_group(number) for number in range(mesh.ndim)]
    for group in groups:
        torch.distributed.all_reduce(value, how, group=group)
    return float(value.item())


def _is_distributed(tensor: Any) -> Any:
    module = sys.modules.get(_MODULE)
    return module is not None and isinstance(tensor, module.DTensor)
