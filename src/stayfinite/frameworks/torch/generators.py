"""The default random generators of PyTorch as arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch


def present() -> dict[str, np.ndarray]:
    """The states of the generators of the CPU and of each CUDA device in use."""
    states = {"torch": torch.get_rng_state().numpy().copy()}
    if torch.cuda.is_initialized():
        for device, state in enumerate(torch.cuda.get_rng_state_all()):
            states[f"torch.cuda.{device}"] = state.numpy().copy()
    return states


def restore(states: Mapping[str, np.ndarray]) -> None:
    """Set them to `states`, for the devices that this machine has."""
    torch.set_rng_state(torch.from_numpy(states["torch"].copy()))
    for device in range(torch.cuda.device_count()):
        state = states.get(f"torch.cuda.{device}")
        if state is not None:
            torch.cuda.set_rng_state(torch.from_numpy(state.copy()), device)
