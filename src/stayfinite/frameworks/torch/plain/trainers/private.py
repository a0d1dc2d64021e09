"""Every private name of Lightning and transformers that guarding their trainers needs.

Each is reached through one function here. One that a release does not have raises
`CannotGuardError`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from stayfinite.frameworks.torch.plain.private import required

# The method of models of transformers that chooses the implementation of their attention.
SET_ATTENTION = "set_attn_implementation"


def hook_closures(module: Any, made: Callable[[Any, Callable[[], Any]], None]) -> None:
    """Call `made` for each closure of Lightning's automatic optimization.

    Args:
        module: `lightning.pytorch.loops.optimization.automatic`.
        made: Called with the arguments by name, which the closure reads when it is called.
    """
    owner = required(module, "_AutomaticOptimization")
    plain = required(owner, "_make_closure")

    @functools.wraps(plain)
    def make_closure(loop: Any, kwargs: Any, *args: Any, **named: Any) -> Any:
        closure = plain(loop, kwargs, *args, **named)
        made(kwargs, closure)
        return closure

    owner._make_closure = make_closure


def hook_manual_steps(module: Any, running: Callable[[Any, Callable[[], Any]], None]) -> None:
    """Call `running` before each step of Lightning's manual optimization.

    Args:
        module: `lightning.pytorch.loops.optimization.manual`.
        running: Called with the arguments of the step by name, and what runs it again.
    """
    owner = required(module, "_ManualOptimization")
    plain = required(owner, "run")

    @functools.wraps(plain)
    def run(loop: Any, kwargs: Any) -> Any:
        running(kwargs, lambda: plain(loop, kwargs))
        return plain(loop, kwargs)

    owner.run = run


def set_command(module: Any, command: Sequence[str]) -> None:
    """Have a launcher of Lightning start further processes by `command`.

    A release that finds the command in another way starts them as it does, without a guard: the
    module is imported in trainings of one process, too, which must not end here.

    Args:
        module: `lightning.pytorch.strategies.launchers.subprocess_script`, or its like.
        command: Program and arguments.
    """
    if hasattr(module, "_basic_subprocess_cmd"):
        module._basic_subprocess_cmd = lambda: list(command)


def attention_of(model: Any) -> str | None:
    """The implementation of the attention of a model of transformers; None where it has no name."""
    found = getattr(model.config, "_attn_implementation", None)
    return found if isinstance(found, str) else None


def set_attention(model: Any, implementation: str | None) -> None:
    """Choose the implementation of the attention of a model of transformers.

    Raises:
        Exception: what the library raises for one that the model does not have.
    """
    getattr(model, SET_ATTENTION)(implementation)


def clips_without_bound(trainer: Any) -> bool:
    """Whether a trainer of transformers that does not clip computes the norm by clipping to inf.

    A norm of NaN then makes every gradient NaN.
    """
    return hasattr(trainer, "_get_grad_norm")


def num_items(trainer: Any, batch: Any) -> Any:
    """The number of labels of a batch, as a trainer of transformers counts them; None if unknown.

    In several processes it is a sum over all of them, so it is not known in one alone.
    """
    count = getattr(trainer, "_get_num_items_in_batch", None)
    if count is None or trainer.accelerator.num_processes > 1:
        return None
    return count([batch], trainer.args.device)
