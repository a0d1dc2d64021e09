"""The norm of the gradients on PyTorch, of those that the last step has left in the weights."""

from __future__ import annotations

import torch

from stayfinite.frameworks.subject import Subject
from stayfinite.frameworks.torch import private


def gradient_norm(subject: Subject) -> float:
    """The norm of all gradients of the last step; a loss scale is in it."""
    tensors = [private.tensor_of(variable) for variable in subject.trainable_variables]
    grads = [tensor.grad.float() for tensor in tensors if tensor.grad is not None]
    norms = [torch.linalg.vector_norm(grad) for grad in grads]
    return float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0
