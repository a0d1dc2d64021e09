"""A step of a loop in another half precision than its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch

from stayfinite.frameworks.state import Variable
from stayfinite.frameworks.torch.other_dtype import Conversion, OtherDtype, converted
from stayfinite.frameworks.torch.plain.optimizer import parameters_of
from stayfinite.frameworks.torch.plain.private import autocast_in_bfloat16

_HALF = (torch.float16, torch.bfloat16)


@contextlib.contextmanager
def halves_as(
    dtype: str, optimizer: torch.optim.Optimizer, state: Sequence[Sequence[Variable]]
) -> Iterator[None]:
    """Inside the block, variables and operations in half precision are in `dtype`.

    Args:
        dtype: `float16` or `bfloat16`.
        optimizer: The optimizer; its parameters have no gradients inside the block.
        state: The variables, in groups.
    """
    wanted = getattr(torch, dtype)
    halves = Conversion(tuple(each for each in _HALF if each is not wanted), wanted)
    variables = [list(group) for group in state]
    # A gradient has the dtype of its weight.
    held = [(weight, weight.grad) for weight in parameters_of(optimizer)]
    for weight, _ in held:
        weight.grad = None
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(converted(variables, halves))
            stack.enter_context(OtherDtype(halves))
            if wanted is torch.bfloat16:
                stack.enter_context(autocast_in_bfloat16())
            yield
    finally:
        for weight, gradient in held:
            weight.grad = gradient
