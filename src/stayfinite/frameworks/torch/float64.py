"""A run in float64: each operator gets its floating-point operands widened.

The dtype policy of the model is not changed, since its layers would cast their inputs back. Casts
to a narrower dtype inside the step give float64 too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from stayfinite.frameworks.torch import private

# The kernels that have float64 take the gradient of a transposed kernel for contiguous.
_CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)
# Fused optimizers take the loss scale in float32, whatever the dtype of the gradients.
_OF_SCALE = ("grad_scale", "found_inf")
_NARROW = (torch.float32, torch.float16, torch.bfloat16)


class WideDispatch(private.TorchDispatchMode):
    """Inside this mode every floating-point result is float64."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is private.UNSCALING:
            gradients, *of_scale = args
            return func(gradients, *(_to(each, torch.float32) for each in of_scale))
        written = _first_written(func, args)
        if _draws(func, args, kwargs):
            return _drawn(func, args, kwargs, written)
        if written is not None and written.dtype in _NARROW:
            # A narrow tensor from outside the step that is written to: it cannot be replaced.
            narrow = [_to(a, written.dtype) for a in args]
            return func(*narrow, **kwargs)
        wide = [_wide(a) for a in args]
        if func in _CONVOLUTIONS:
            wide = [_contiguous(a) for a in wide]
        named = {
            name: _to(value, torch.float32) if name in _OF_SCALE else _wide(value)
            for name, value in kwargs.items()
        }
        out = func(*wide, **named)
        return out if written is not None else _wide_result(out)


@contextlib.contextmanager
def in_float64(groups: list[list[Any]]) -> Iterator[None]:
    """Every floating-point variable of `groups` in float64 inside the block."""
    tensors = [private.tensor_of(variable) for group in groups for variable in group]
    narrow = [(tensor, tensor.data) for tensor in tensors if tensor.dtype in _NARROW]
    for tensor, data in narrow:
        tensor.data = data.double()
    try:
        yield
    finally:
        for tensor, data in narrow:
            tensor.grad = None
            tensor.data = data


def _drawn(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], written: Any) -> Any:
    """Random numbers as the step draws them: a wider type would take others from the generator."""
    if func is torch.ops.aten.native_dropout.default:
        # Its input may leave the narrow range; only the mask is to be drawn there.
        ones = torch.ones_like(args[0], dtype=torch.float32)
        scaled, mask = func(ones, *args[1:], **kwargs)
        return args[0] * scaled.double(), mask
    narrow = [_to(argument, torch.float32) for argument in args]
    out = func(*narrow, **{name: _to(value, torch.float32) for name, value in kwargs.items()})
    if written is None:
        return _wide_result(out)
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


def _wide(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype in _NARROW else value
    if isinstance(value, torch.dtype):
        return torch.float64 if value in _NARROW else value
    if type(value) in (list, tuple):
        return type(value)(_wide(item) for item in value)
    return value


def _contiguous(value: Any) -> Any:
    return value.contiguous() if isinstance(value, torch.Tensor) else value


def _wide_result(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() if value.dtype in _NARROW else value
    if type(value) in (list, tuple):
        return type(value)(_wide_result(item) for item in value)
    return value


def _to(value: Any, dtype: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != dtype:
        return value.to(dtype)
    return value
