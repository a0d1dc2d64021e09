"""The private names of PyTorch that guarding a loop over `torch.optim` reads, but for its hooks.

Each is reached through one function here. One that a release of PyTorch does not have raises
`CannotGuardError`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from stayfinite.errors import CannotGuardError
from stayfinite.frameworks.attributes import replaced

# What a `GradScaler` gives a fused optimizer for the time of its update.
_OF_SCALE = ("grad_scale", "found_inf")


def required(owner: Any, name: str) -> Any:
    """The attribute of a library.

    Raises:
        CannotGuardError: it has none of that name.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        library = getattr(owner, "__module__", owner.__name__).partition(".")[0]
        raise CannotGuardError(
            f"this release of {library} has no `{owner.__name__}.{name}`, which stayfinite needs; "
            "install one that docs/versions.md lists"
        ) from None


def is_first_draw(iterator: Any) -> bool:
    """Whether the last batch that the iterator of a `DataLoader` gave was its first one."""
    return bool(iterator._num_yielded == 1)


def overflow_of_scale(optimizer: torch.optim.Optimizer) -> torch.Tensor | None:
    """Whether a loss scale has overflowed, as a fused optimizer is told by its `GradScaler`.

    It then leaves the step out by itself. None for an optimizer that is not applied in this way.
    """
    found: torch.Tensor | None = getattr(optimizer, "found_inf", None)
    return found


@contextlib.contextmanager
def without_scale(optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[None]:
    """Inside the block, fused optimizers have not been given a loss scale; after it, as before.

    A `GradScaler` takes what it has given away after the update, which a step made again ends in.
    """
    held = [vars(optimizer) for optimizer in optimizers]
    given = [{name: each.pop(name) for name in _OF_SCALE if name in each} for each in held]
    try:
        yield
    finally:
        for each, values in zip(held, given, strict=True):
            for name in _OF_SCALE:
                each.pop(name, None)
            each.update(values)


@contextlib.contextmanager
def fresh_scaler(scaler: Any) -> Iterator[None]:
    """Inside the block a `GradScaler` is as before a step; after it, as it was."""
    states = scaler._per_optimizer_states
    kept = {key: dict(value) for key, value in states.items()}
    tensors = [t for t in (scaler._scale, scaler._growth_tracker) if t is not None]
    copies = [tensor.clone() for tensor in tensors]
    states.clear()
    try:
        yield
    finally:
        states.clear()
        states.update(kept)
        for tensor, copy in zip(tensors, copies, strict=True):
            tensor.copy_(copy)


def is_spent(scaler: Any) -> bool:
    """Whether the scale of a `GradScaler` is at most 1, too small to make a gradient infinite."""
    return float(scaler.get_scale()) <= 1.0


def set_scale(scaler: Any, scale: float) -> None:
    """Set the scale of a `GradScaler` that has scaled a loss."""
    scaler._scale.fill_(scale)


def overflows_of(scaler: Any, optimizer: torch.optim.Optimizer) -> dict[torch.device, torch.Tensor]:
    """Whether a `GradScaler` has found an overflow for `optimizer`: 0 or 1 on each device."""
    states = scaler._per_optimizer_states
    found: dict[torch.device, torch.Tensor] = states[id(optimizer)]["found_inf_per_device"]
    return found


def world_size(module: Any) -> int:
    """Over how many processes a `DistributedDataParallel` takes the mean of its gradients."""
    return int(module.process_group.size())


# The methods of a `ProcessGroup` that give a process what others have, in any release.
NEEDING_OTHERS = tuple(
    "_allgather_base _reduce_scatter_base all_gather_single all_gather_single_coalesced"
    " all_to_all_single allgather allgather_coalesced allgather_into_tensor_coalesced alltoall"
    " alltoall_base broadcast gather recv recv_anysource reduce_scatter reduce_scatter_single"
    " reduce_scatter_single_coalesced reduce_scatter_tensor_coalesced scatter send".split()
)


@contextlib.contextmanager
def without_sent_buffers(module: Any) -> Iterator[None]:
    """Inside the block, a `DistributedDataParallel` sends no buffers of the first process."""
    with replaced(module, "require_forward_param_sync", False):
        yield


def is_flattened(parameter: Any) -> bool:
    """Whether a `FullyShardedDataParallel` holds the parameter, of which a part is here."""
    return bool(getattr(parameter, "_fsdp_flattened", False))


def store_of_processes() -> Any:
    """The store that the processes of the default group have in common.

    Raises:
        CannotGuardError: the release lacks the function.
    """
    return required(torch.distributed.distributed_c10d, "_get_default_store")()


@contextlib.contextmanager
def autocast_in_bfloat16() -> Iterator[None]:
    """Inside the block, autocast computes in bfloat16 where it would compute in float16."""
    devices = ("cpu", "cuda")
    plain = torch.set_autocast_dtype
    before = {device: torch.get_autocast_dtype(device) for device in devices}

    def given(dtype: torch.dtype) -> torch.dtype:
        return torch.bfloat16 if dtype is torch.float16 else dtype

    def set_autocast_dtype(device: str, dtype: torch.dtype) -> None:
        plain(device, given(dtype))

    with replaced(torch, "set_autocast_dtype", set_autocast_dtype):
        # It keeps weights that it has cast.
        torch.clear_autocast_cache()
        for device in devices:
            plain(device, given(before[device]))
        try:
            yield
        finally:
            for device in devices:
                plain(device, before[device])
            torch.clear_autocast_cache()


def keras_statistics(module: torch.nn.Module) -> list[torch.Tensor]:
    """The parameters without gradients of the Keras layers inside a module.

    Keras registers all variables of a layer as parameters in its `_torch_params`.
    """
    return [
        parameter
        for name, parameter in module.named_parameters()
        if not parameter.requires_grad and "_torch_params." in name
    ]
