"""The state of a training on PyTorch: copies of its variables, and PyTorch's random generators."""

from __future__ import annotations

from typing import Any

import torch

from stayfinite.frameworks.state import RandomState, State
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.frameworks.torch import private


def state_of(subject: Subject, *, device: str | None = None) -> State:
    """Copies of the present values, where they are or on `device`, and the random state of now."""
    groups = state_variables(subject)
    values = [[_copied(private.tensor_of(v), device) for v in group] for group in groups]
    return State.of(values, random_state())


def store(subject: Subject, state: State) -> None:
    """Copy the values of `state`, tensors or arrays of NumPy, to the variables."""
    with torch.no_grad():
        for variables, values in zip(state_variables(subject), state.groups, strict=True):
            for variable, value in zip(variables, values, strict=True):
                tensor = private.tensor_of(variable)
                given = torch.as_tensor(value, device=tensor.device)
                # Of a sparse gradient SGD makes a sparse momentum.
                is_dense = tensor.is_sparse and not given.is_sparse
                tensor.copy_(given.to_sparse() if is_dense else given)


def num_bytes_of(subject: Subject) -> int:
    """How much memory such a copy takes."""
    groups = state_variables(subject)
    return sum(private.num_bytes(private.tensor_of(v)) for group in groups for v in group)


def random_state() -> RandomState:
    """The generators that Keras draws an unseeded dropout from: CPU, and the CUDA device in use."""
    cpu = torch.default_generator.get_state()
    return RandomState(cpu, torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None)


def restore_random(state: RandomState) -> None:
    """Set the generators to `state`, tensors or arrays of NumPy."""
    torch.set_rng_state(torch.as_tensor(state.cpu))
    if state.cuda is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.as_tensor(state.cuda))


def _copied(tensor: Any, device: str | None) -> Any:
    own = tensor.detach()
    return own.to(device, copy=True) if device is not None else own.clone()
