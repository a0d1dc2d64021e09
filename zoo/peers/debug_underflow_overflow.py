"""`transformers.debug_utils.DebugUnderflowOverflow`, on each network that an optimizer trains.

`Trainer` switches it on by `--debug underflow_overflow`. In a loop of one's own it is told the
model; here it is told as soon as there is an optimizer.
"""

from __future__ import annotations

import gc
import importlib
import re
from typing import Any

from zoo.peers.peer import Peer
from zoo.peers.steps import Steps


def switch_on(steps: Steps) -> None:
    """Look at the output of every module from here on."""
    import torch

    debug_utils: Any = importlib.import_module("transformers.debug_utils")
    kind: Any = torch.optim.Optimizer
    plain = kind.__init__

    def init(optimizer: Any, *arguments: Any, **options: Any) -> None:
        plain(optimizer, *arguments, **options)
        for model in _outermost(optimizer):
            debug_utils.DebugUnderflowOverflow(model)

    kind.__init__ = init


def _outermost(optimizer: Any) -> list[Any]:
    """The modules that hold a parameter of the optimizer and are held by no other module."""
    import torch

    mine = {id(each) for group in optimizer.param_groups for each in group["params"]}
    modules = [each for each in gc.get_objects() if isinstance(each, torch.nn.Module)]
    held = {id(child) for module in modules for child in module.modules() if child is not module}
    return [
        module
        for module in modules
        if id(module) not in held and any(id(each) in mine for each in module.parameters())
    ]


DEBUG_UNDERFLOW_OVERFLOW = Peer(
    "debug-underflow-overflow",
    ("plain-torch",),
    switch_on,
    re.compile(r"DebugUnderflowOverflow: inf/nan detected"),
)
