"""A run in another dtype: each operator gets its floating-point operands converted.

The dtype policy of the model is not changed, since its layers would cast their inputs back. Casts
inside the step give the other dtype too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from stayfinite.frameworks.torch import private

# The kernels that have float64 take the gradient of a transposed kernel for contiguous.
_CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)
# Fused optimizers take the loss scale in float32, whatever the dtype of the gradients.
_OF_SCALE = ("grad_scale", "found_inf")


@dataclass(frozen=True)
class Conversion:
    """Values of the dtypes `given` become `wanted`."""

    given: tuple[torch.dtype, ...]
    wanted: torch.dtype

    def value(self, value: Any) -> Any:
        """A tensor or dtype converted, also inside a list or tuple; any other value as it is."""
        if isinstance(value, torch.Tensor):
            return value.to(self.wanted) if value.dtype in self.given else value
        if isinstance(value, torch.dtype):
            return self.wanted if value in self.given else value
        if type(value) in (list, tuple):
            return type(value)(self.value(item) for item in value)
        return value


FLOAT64 = Conversion((torch.float32, torch.float16, torch.bfloat16), torch.float64)


class OtherDtype(private.TorchDispatchMode):
    """Inside this mode every floating-point result has the dtype of `conversion`."""

    def __init__(self, conversion: Conversion) -> None:
        super().__init__()
        self._conversion = conversion

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is private.UNSCALING:
            gradients, *of_scale = args
            return func(gradients, *(_to(each, torch.float32) for each in of_scale))
        written = _first_written(func, args)
        convert = self._conversion
        if _draws(func, args, kwargs) and torch.float32 in convert.given:
            return _drawn(func, args, kwargs, written, convert)
        if written is not None and written.dtype in convert.given:
            # A tensor from outside the step that is written to: it cannot be replaced.
            narrow = [_to(a, written.dtype) for a in args]
            return func(*narrow, **kwargs)
        other = [convert.value(a) for a in args]
        if func in _CONVOLUTIONS:
            other = [_contiguous(a) for a in other]
        named = {
            name: _to(value, torch.float32) if name in _OF_SCALE else convert.value(value)
            for name, value in kwargs.items()
        }
        out = func(*other, **named)
        return out if written is not None else _result(out, convert)


@contextlib.contextmanager
def converted(groups: list[list[Any]], conversion: Conversion) -> Iterator[None]:
    """Every variable of `groups` converted inside the block."""
    tensors = [private.tensor_of(variable) for group in groups for variable in group]
    chosen = {id(tensor): tensor for tensor in tensors if tensor.dtype in conversion.given}
    swapped: list[tuple[Any, Any]] = []
    held: list[tuple[Any, Any]] = []
    try:
        for tensor in chosen.values():
            other = tensor.detach().to(conversion.wanted).requires_grad_(tensor.requires_grad)
            # Another dtype of `data` takes the node that accumulates the gradient from the tensor,
            # and with it the hooks of the user and of DDP.
            if tensor.requires_grad and private.swapped(tensor, other):
                swapped.append((tensor, other))
            else:
                held.append((tensor, tensor.data))
                tensor.data = other.detach()
        yield
    finally:
        for tensor, other in swapped:
            if not private.swapped(tensor, other):
                tensor.data = other.detach()
            tensor.grad = None
        for tensor, data in held:
            tensor.grad = None
            tensor.data = data


def _drawn(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], written: Any, convert: Conversion
) -> Any:
    """Random numbers as the step draws them: a wider type would take others from the generator."""
    if func is torch.ops.aten.native_dropout.default:
        # Its input may leave the narrow range; only the mask is to be drawn there.
        ones = torch.ones_like(args[0], dtype=torch.float32)
        scaled, mask = func(ones, *args[1:], **kwargs)
        return args[0] * scaled.to(convert.wanted), mask
    narrow = [_to(argument, torch.float32) for argument in args]
    out = func(*narrow, **{name: _to(value, torch.float32) for name, value in kwargs.items()})
    if written is None:
        return _result(out, convert)
    return written if out is written else written.copy_(narrow[0])


def _draws(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operator draws random numbers; one with a dropout of 0 does not."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return False
    given = {
        argument.name: argument.default_value for argument in private.schema_of(func).arguments
    }
    given |= dict(zip(given, args, strict=False)) | kwargs
    return bool(given.get("dropout_p") != 0.0)


def _first_written(func: Any, args: tuple[Any, ...]) -> Any:
    for position, argument in enumerate(private.schema_of(func).arguments):
        info = argument.alias_info
        if info is not None and info.is_write and position < len(args):
            given = args[position]
            return given if isinstance(given, torch.Tensor) else None
    return None


def _contiguous(value: Any) -> Any:
    return value.contiguous() if isinstance(value, torch.Tensor) else value


def _result(value: Any, convert: Conversion) -> Any:
    return value if isinstance(value, torch.dtype) else convert.value(value)


def _to(value: Any, dtype: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != dtype:
        return value.to(dtype)
    return value
