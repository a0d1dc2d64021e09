"""Code that `torch.compile` has compiled."""

from __future__ import annotations

import sys

import torch


def forget() -> None:
    """Have everything compiled again, because the source of a function was changed."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
