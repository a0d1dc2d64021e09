"""A check of a framework: how it is switched on, and how to read what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from zoo.peers.steps import Steps


@dataclass(frozen=True)
class Peer:
    """`switch_on` is called in the process of the script, before the script.

    `alarm` is found in the output where the peer has stopped the training; its group `op`, if
    it has one that matched, is the operation that the peer names.
    """

    name: str
    backends: tuple[str, ...]
    switch_on: Callable[[Steps], None]
    alarm: re.Pattern[str]
