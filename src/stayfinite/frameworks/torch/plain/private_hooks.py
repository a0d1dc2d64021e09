"""The hooks in PyTorch by which a loop over `torch.optim` is watched.

Each name of PyTorch is reached through one function here. One that a release does not have raises
`CannotGuardError`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import (
    _global_optimizer_pre_hooks,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from stayfinite.frameworks.torch.plain.private import required


def hook_draws(drawing: Callable[[Callable[[Any], Any], Any], Any]) -> None:
    """Have `drawing(draw, iterator)` give each batch of the iterator of a `DataLoader`.

    `draw(iterator)` gives it as without the hook.
    """
    owner = required(torch.utils.data.dataloader, "_BaseDataLoaderIter")
    plain = required(owner, "__next__")

    @functools.wraps(plain)
    def __next__(iterator: Any) -> Any:
        return drawing(plain, iterator)

    owner.__next__ = __next__


class RunningPasses:
    """The backward passes that are running.

    Attributes:
        num: How many, one inside the other.
    """

    num = 0


def hook_backward(
    running: RunningPasses, began: Callable[[Any], bool], ended: Callable[[], None]
) -> None:
    """Count each backward pass in `running`, and tell of it.

    `began(root)` returns whether `ended()` is to be called, also where the pass raises.
    """
    plain = torch.autograd.backward

    @functools.wraps(plain)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        has_end = False
        running.num += 1
        try:
            has_end = began(tensors)
            return plain(tensors, *args, **kwargs)
        finally:
            running.num -= 1
            if has_end:
                ended()

    torch.autograd.backward = backward


def hook_scaler(
    scaling: Callable[[Any, Any], None],
    applying: Callable[[Any, torch.optim.Optimizer, Callable[[], Any]], Any],
) -> None:
    """Call `scaled` for each loss of a `GradScaler`, and have `applying` apply its optimizers."""
    owner = torch.amp.GradScaler
    plain_scale, plain_step = owner.scale, owner.step

    @functools.wraps(plain_scale)
    def scale(scaler: Any, outputs: Any) -> Any:
        result = plain_scale(scaler, outputs)
        scaling(outputs, result)
        return result

    @functools.wraps(plain_step)
    def step(scaler: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if not scaler.is_enabled():
            return plain_step(scaler, optimizer, *args, **kwargs)
        return applying(scaler, optimizer, lambda: plain_step(scaler, optimizer, *args, **kwargs))

    owner.scale = scale
    owner.step = step


def hook_optimizers(
    created: Callable[[torch.optim.Optimizer], None],
    regrouped: Callable[[torch.optim.Optimizer], None],
    before: Callable[[torch.optim.Optimizer, Any], Any],
    after: Callable[[torch.optim.Optimizer], None],
) -> None:
    """Call a function for each optimizer that is made, is about to be applied, and was applied.

    `regrouped` is called where one gets another group of parameters, also before `created`.
    `before(optimizer, closure)` returns a closure to take the place of `closure`, or None.
    """
    plain = torch.optim.Optimizer.__init__
    plain_add = torch.optim.Optimizer.add_param_group

    @functools.wraps(plain)
    def __init__(optimizer: Any, *args: Any, **kwargs: Any) -> None:
        plain(optimizer, *args, **kwargs)
        created(optimizer)

    @functools.wraps(plain_add)
    def add_param_group(optimizer: Any, *args: Any, **kwargs: Any) -> None:
        plain_add(optimizer, *args, **kwargs)
        regrouped(optimizer)

    def pre_hook(optimizer: Any, args: Any, kwargs: Any) -> Any:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        other = before(optimizer, closure if callable(closure) else None)
        if other is None:
            return None
        if "closure" in kwargs:
            return args, {**kwargs, "closure": other}
        return (args[0], other, *args[2:]), kwargs

    def post_hook(optimizer: Any, args: Any, kwargs: Any) -> None:
        after(optimizer)

    torch.optim.Optimizer.__init__ = __init__
    torch.optim.Optimizer.add_param_group = add_param_group
    register_optimizer_step_pre_hook(pre_hook)
    register_optimizer_step_post_hook(post_hook)


def hook_clipping(clipped: Callable[[Any, Any, Any, Any], None]) -> None:
    """Call `clipped(gradients, norm, kind, largest)` at the end of each `clip_grad_norm_`.

    `norm` is the norm before, of the kind `kind`. A release that has other functions inside of
    `clip_grad_norm_` is left as it is.
    """
    owner = torch.nn.utils.clip_grad
    if not (hasattr(owner, "_get_total_norm") and hasattr(owner, "_clip_grads_with_norm_")):
        return
    plain_norm, plain_clip = owner._get_total_norm, owner._clip_grads_with_norm_
    last: list[Any] = [None, None, None]

    @functools.wraps(plain_norm)
    def _get_total_norm(tensors: Any, norm_type: Any = 2.0, *args: Any, **kwargs: Any) -> Any:
        norm = plain_norm(tensors, norm_type, *args, **kwargs)
        if not torch.compiler.is_compiling():
            last[:] = tensors, norm_type, norm
        return norm

    @functools.wraps(plain_clip)
    def _clip_grads_with_norm_(
        parameters: Any, max_norm: Any, total_norm: Any, *args: Any, **kwargs: Any
    ) -> None:
        plain_clip(parameters, max_norm, total_norm, *args, **kwargs)
        if torch.compiler.is_compiling():
            return
        tensors, kind, norm = last
        last[:] = None, None, None
        if norm is total_norm:
            clipped(tensors, norm, kind, max_norm)

    owner._get_total_norm = _get_total_norm
    owner._clip_grads_with_norm_ = _clip_grads_with_norm_


def has_own_hooks(optimizer: torch.optim.Optimizer) -> bool:
    """Whether hooks of the user are called before its update, beside those of `hook_optimizers`."""
    return bool(optimizer._optimizer_step_pre_hooks) or len(_global_optimizer_pre_hooks) > 1
