"""The tools that can be asked, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.answer import Answer
from zoo.running import Environment


@dataclass(frozen=True)
class Tool:
    """`ask` runs a copy of a script under the tool.

    `tells` are the aspects of `judging.ASPECTS` that the tool speaks of at all; in the others it
    is not judged. `mend` fills in whether the fix of an answer holds.
    """

    name: str
    backends: tuple[str, ...]
    tells: frozenset[str]
    ask: Callable[[Path, Environment], Answer]
    mend: Callable[[Path, Environment, Answer], Answer] | None = None
