"""What `lightning.Trainer(detect_anomaly=True)` checks, in a loop that is not Lightning's.

These are the anomaly mode of autograd, and whether the loss is finite before it is differentiated.
"""

from __future__ import annotations

import re
from typing import Any

from zoo.peers.peer import Peer
from zoo.peers.steps import Steps


def switch_on(steps: Steps) -> None:
    """Check every loss and the gradients of every node of autograd from here on."""
    import torch

    torch.autograd.set_detect_anomaly(True)
    backward = torch.autograd.backward

    def checking_backward(tensors: Any, *arguments: Any, **options: Any) -> None:
        for tensor in tensors if isinstance(tensors, list | tuple) else [tensors]:
            if not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"The loss returned in `training_step` is {tensor}.")
        backward(tensors, *arguments, **options)

    torch.autograd.backward = checking_backward


LIGHTNING_ANOMALY = Peer(
    "lightning-anomaly",
    ("plain-torch",),
    switch_on,
    re.compile(
        r"Function '(?P<op>\w+)' returned nan values in its \d+th output"
        r"|The loss returned in `training_step` is"
    ),
)
