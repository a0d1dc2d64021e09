"""Copies that should be in a file and are in memory: told once, since they add to its use."""

from __future__ import annotations

from collections.abc import Callable

NO_FOLDER = "no folder for temporary files is on a local disk with twice that room"


class KeptInMemory:
    """The copies of one training that could not be written to a file.

    Attributes:
        say: Called with a line about each of them.
    """

    def __init__(self) -> None:
        self.say: Callable[[str], None] = lambda text: None
        self._told: set[str] = set()

    def of(self, what: str) -> Callable[[int, str], None]:
        """What is called with the size of a copy and the reason, for copies of one kind.

        Args:
            what: The kind, as the subject of a sentence.
        """

        def tell(num_bytes: int, reason: str) -> None:
            # A training takes a copy of one kind again and again.
            if what not in self._told:
                self._told.add(what)
                self.say(
                    f"{what}, {num_bytes / 2**20:,.0f} MiB, is kept in memory: {reason}; set "
                    "TMPDIR to a folder on a local disk to have it in a file"
                )

        return tell
