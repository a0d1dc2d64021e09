"""PyTorch's own random state: what Keras draws an unseeded dropout from, on each device."""

from __future__ import annotations

from typing import Any

import torch

# Of the CPU, and of the CUDA device in use where there is one.
State = tuple[Any, Any]


def now() -> State:
    """The state as it is."""
    on_cuda = torch.cuda.is_initialized()
    return torch.get_rng_state(), torch.cuda.get_rng_state() if on_cuda else None


def restore(state: State) -> None:
    """Make `state` the state again."""
    on_cpu, on_cuda = state
    torch.set_rng_state(on_cpu)
    if on_cuda is not None:
        torch.cuda.set_rng_state(on_cuda)
