"""Notes where the user creates each module and optimizer of PyTorch.

For an op inside a module of PyTorch, the only line that the user can change is the one that made
the module.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

import torch

from stayfinite.frameworks.frames import user_frames
from stayfinite.graph.object_sites import note_site
from stayfinite.graph.source import span_at

_noted: list[Any] = []


def record() -> None:
    """Note the user's line for each module and optimizer created from now on. Idempotent."""
    if _noted:
        return
    for owner in (torch.nn.Module, torch.optim.Optimizer):
        _note_on(owner)
        _noted.append(owner)


def _note_on(owner: Any) -> None:
    plain = owner.__init__

    @functools.wraps(plain)
    def __init__(created: Any, *args: Any, **kwargs: Any) -> None:
        plain(created, *args, **kwargs)
        if type(created).__module__.startswith("torch."):
            frame = next(user_frames(sys._getframe(1)), None)
            if frame is not None:
                note_site(created, span_at(frame.f_code, frame.f_lasti))

    owner.__init__ = __init__
