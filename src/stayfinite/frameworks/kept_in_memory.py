"""Copies that should be in a file and are in memory: told once, since they add to its use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto


class CopyKind(Enum):
    """What is copied."""

    BATCH = auto()
    STATE = auto()


@dataclass(frozen=True)
class CopyInMemory:
    """A copy that is in memory for want of a file.

    Args:
        kind: What is copied.
        num_bytes: Its size.
        error: What the file could not be written for; None if no folder had room for it.
    """

    kind: CopyKind
    num_bytes: int
    error: OSError | None


Tell = Callable[[int, OSError | None], None]


class KeptInMemory:
    """The copies of one training that could not be written to a file.

    Attributes:
        tell: Called with the first of each kind, as a training makes such a copy again and again.
    """

    def __init__(self) -> None:
        self.tell: Callable[[CopyInMemory], None] = lambda copy: None
        self._told: set[CopyKind] = set()

    def of(self, kind: CopyKind) -> Tell:
        """What is called with the size of a copy of this kind, and the error."""

        def tell(num_bytes: int, error: OSError | None) -> None:
            if kind not in self._told:
                self._told.add(kind)
                self.tell(CopyInMemory(kind, num_bytes, error))

        return tell
