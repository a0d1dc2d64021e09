"""Every private name of PyTorch, and of Keras on PyTorch, that is used.

PyTorch documents dispatch modes and leaves their module private; the multi-tensor functions
(`_foreach_...`) are those that its own optimizers call. `tests/frameworks/test_torch_private.py`
exercises each name.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch._decomp import decomposition_table
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from stayfinite.frameworks.subject import Subject

__all__ = [
    "FOREACH",
    "UNSCALING",
    "StorageWeakRef",
    "TorchDispatchMode",
    "alike",
    "buffers_of",
    "choose",
    "copies",
    "current_node",
    "decomposition_of",
    "dense_values",
    "file_of_backward",
    "function_of",
    "is_compiled",
    "memory_of",
    "next_node",
    "norms",
    "num_bytes",
    "numpy_of",
    "peaks",
    "schema_of",
    "sum_of_squares",
    "tensor_of",
    "unseen",
    "version",
    "writes_to",
]

# How the names of the multi-tensor operators begin.
FOREACH = "_foreach_"
# The operator of `GradScaler`. It takes the scale in float32, whatever the dtype of the gradients.
UNSCALING = torch.ops.aten._amp_foreach_non_finite_check_and_unscale_.default


def tensor_of(variable: Any) -> Any:
    """The tensor of a Keras variable itself.

    Private: `value` casts it under autocast, and reads another one in a stateless scope.
    """
    return variable._value


def norms(tensors: list[Any]) -> Any:
    """The Euclidean norm of each tensor: one call for many, and one fast pass over each."""
    return torch._foreach_norm(tensors)


def sum_of_squares(copied: list[Any], read: list[Any]) -> float:
    """The sum of the squares of all elements; infinite where a square overflows.

    By `dot`, in less time than by `norms`.

    Args:
        copied: Dense tensors on a CPU in float32 or float64. They are copied to one vector, which
            takes less time for few elements than to read each of them.
        read: Such tensors that are read where they are.

    Raises:
        RuntimeError: one is sparse or on another device.
    """
    squares = [(row := tensor.ravel()).dot(row).item() for tensor in read]
    if copied:
        copy = torch._C._nn.flatten_dense_tensors(copied)
        squares.append(copy.dot(copy).item())
    return float(sum(squares))


def peaks(tensors: list[Any]) -> Any:
    """The largest magnitude in each tensor, NaN where there is one; none may be empty."""
    return torch._foreach_norm(tensors, ord=math.inf)


def alike(tensors: Iterable[Any]) -> list[list[Any]]:
    """The tensors of each device and dtype: many at once are one call where they are alike."""
    groups: dict[Any, list[Any]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(groups.values())


def copies(tensors: list[Any]) -> list[Any]:
    """A copy of each of tensors that are `alike`."""
    made = [torch.empty_like(tensor, requires_grad=False) for tensor in tensors]
    with torch.no_grad():
        torch._foreach_copy_(made, tensors)
    return made


def choose(good: Any, new: list[Any], old: list[Any]) -> None:
    """Set the tensors `new`, which are `alike`, to `old` where `good`, one boolean, is false.

    By arithmetic on their bits, exact for every number and for NaN. It is done in `old`, which is
    used up: tensors of `new` may share memory.
    """
    here, there = [_bits(tensor) for tensor in new], [_bits(tensor) for tensor in old]
    torch._foreach_sub_(there, here)
    torch._foreach_mul_(there, (~good).to(there[0].device, there[0].dtype))
    torch._foreach_add_(there, here)
    torch._foreach_copy_(here, there)


_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _bits(tensor: Any) -> Any:
    real = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
    return real.view(_INTEGERS[real.element_size()])


def version(variables: Iterable[Any]) -> int:
    """A number that changes when any of the variables is written to."""
    # `_version` counts the writes in place; PyTorch's autograd relies on it.
    return sum([(t := v._value)._version + id(t) for v in variables])


_version_of = operator.attrgetter("_version")


def writes_to(tensors: Sequence[Any]) -> tuple[int, ...]:
    """How often each has been written to in place; PyTorch's autograd relies on it.

    It is not counted for a tensor made under `torch.inference_mode`, which outside of that mode
    cannot be written to.
    """
    try:
        return tuple(map(_version_of, tensors))
    except RuntimeError:
        return tuple([0 if tensor.is_inference() else tensor._version for tensor in tensors])


def dense_values(gradient: Any) -> Any:
    """The values of a sparse gradient, which need not be coalesced."""
    return gradient._values()


def num_bytes(tensor: Any) -> int:
    """Bytes of a tensor; of a sparse one, those of its indices and values."""
    if tensor.layout is not torch.sparse_coo:
        return int(tensor.nbytes)
    return int(tensor._indices().nbytes + tensor._values().nbytes)


def is_compiled(function: Any) -> bool:
    """Whether `torch.compile` made it."""
    return hasattr(function, "_torchdynamo_orig_callable")


def function_of(function: Any) -> Any:
    """What was given to `torch.compile`; any other function itself."""
    return getattr(function, "_torchdynamo_orig_callable", function)


def next_node() -> int:
    """The sequence number that the next autograd node on this thread will get."""
    return int(torch._C._autograd._get_sequence_nr())


def current_node() -> int | None:
    """The sequence number of the autograd node at work; None outside a backward pass."""
    node = torch._C._current_autograd_node()
    return None if node is None else int(node._sequence_nr())


def file_of_backward() -> str | None:
    """The file of the `backward` of a `torch.autograd.Function` that autograd runs now, if any."""
    node = torch._C._current_autograd_node()
    if not isinstance(node, torch.autograd.function.BackwardCFunction):
        return None
    code = getattr(type(node)._forward_cls.backward, "__code__", None)
    return None if code is None else str(code.co_filename)


def schema_of(operator: Any) -> Any:
    """The declaration of an ATen operator: its name, its arguments, and what it writes to."""
    return operator._schema


def decomposition_of(operator: Any) -> Callable[..., Any] | None:
    """The operator as a function of simpler ones; None where PyTorch has no such function."""
    found: Callable[..., Any] | None = decomposition_table.get(operator)
    return found


def memory_of(storage: Any) -> int:
    """The address of a storage object, the same for every tensor that lies in it.

    Private: `data_ptr` is 0 for every empty storage.
    """
    return int(storage._cdata)


def unseen() -> Any:
    """A context in which no dispatch mode sees, or changes, an operator."""
    return _disable_current_modes()


def buffers_of(subject: Subject) -> list[Any]:
    """The buffers of every PyTorch module in a model; they are no Keras variables."""
    found: dict[int, Any] = {}
    for layer in subject.layers():
        for buffer in layer.buffers() if isinstance(layer, torch.nn.Module) else ():
            found.setdefault(id(buffer), buffer)
    return list(found.values())


def numpy_of(tensor: Any) -> np.ndarray:
    """A tensor on the host, bfloat16 as float32, dense; a NumPy array as it is."""
    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    plain = tensor.detach().cpu()
    if plain.is_sparse:
        plain = plain.to_dense()
    array: np.ndarray = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return array


def swapped(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    """Swap what two leaf tensors hold, with gradients and their nodes; False if that cannot be.

    A tensor with hooks of its own keeps what it holds, as they would go to the other one.
    """
    has_hooks = tensor._backward_hooks or getattr(tensor, "_post_accumulate_grad_hooks", None)
    if not tensor.is_leaf or type(tensor.data) is not type(other) or has_hooks:
        return False
    try:
        torch._C._swap_tensor_impl(tensor, other)
    except RuntimeError:  # something holds a weak reference to it
        return False
    return True
