"""`torch.autograd.set_detect_anomaly(True)`."""

from __future__ import annotations

import re

from zoo.peers.peer import Peer
from zoo.peers.steps import Steps


def switch_on(steps: Steps) -> None:
    """Check the gradients of every node of autograd from here on."""
    import torch

    torch.autograd.set_detect_anomaly(True)


DETECT_ANOMALY = Peer(
    "detect-anomaly",
    ("torch", "plain-torch"),
    switch_on,
    re.compile(r"Function '(?P<op>\w+)' returned nan values in its \d+th output"),
)
