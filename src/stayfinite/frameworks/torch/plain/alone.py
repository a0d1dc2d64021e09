"""Effects that are suppressed while a step of PyTorch is made again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import torch

from stayfinite.frameworks.effects import suppressed


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Inside the block nothing is printed, logged, written or compiled."""
    with suppressed(), contextlib.ExitStack() as stack:
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield
