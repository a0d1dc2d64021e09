"""The private names of modules of PyTorch: where a module keeps its own tensors."""

from __future__ import annotations

import torch


def buffers_of(module: torch.nn.Module) -> dict[str, torch.Tensor | None]:
    """The dict of the buffers of the module itself, not of those inside."""
    held: dict[str, torch.Tensor | None] = module._buffers
    return held


def parameters_of(module: torch.nn.Module) -> dict[str, torch.nn.Parameter | None]:
    """The dict of the parameters of the module itself, not of those inside."""
    held: dict[str, torch.nn.Parameter | None] = module._parameters
    return held


def unsaved_buffers(module: torch.nn.Module) -> list[torch.Tensor]:
    """The buffers of the module itself that are no part of its state."""
    found = [module._buffers[name] for name in module._non_persistent_buffers_set]
    return [buffer for buffer in found if buffer is not None]


def compiled_module(module: torch.nn.Module) -> torch.nn.Module | None:
    """The module that `torch.compile` was given, if it made `module`."""
    inner: torch.nn.Module | None = getattr(module, "_orig_mod", None)
    return inner
