"""The trainings of a script that are not that of the incident, told when that is certain.

A training may fit after its first steps only: they may make layers and slots, and the batch of
another step may have other arrays.
"""

from __future__ import annotations

from collections.abc import Callable


class OtherTrainings:
    """Those that did not fit so far.

    Args:
        tell: Called with the name of a training, and why it is not that of the incident.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._reasons: dict[str, str] = {}
        self._told: set[str] = set()

    def note(self, name: str, reason: str) -> None:
        """A training does not fit at one of its steps."""
        if name not in self._told:
            self._reasons[name] = reason

    def given_up(self, name: str) -> None:
        """No further step of a training is compared."""
        if name in self._reasons:
            self._told.add(name)
            self._tell(name, self._reasons.pop(name))

    def ended(self, found: str | None = None) -> None:
        """No further step of any is compared; `found` is the name of the training that fits."""
        for name in [name for name in self._reasons if name != found]:
            self.given_up(name)
