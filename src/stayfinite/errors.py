"""The exceptions of stayfinite.

Exception
|-- NonFiniteError   a training step was non-finite; carries the incident
`-- UsageError       what was passed cannot be used; one line says what, and what to do
    `-- CannotGuardError   the guard cannot attach to this training
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stayfinite.incident import Incident


class NonFiniteError(ArithmeticError):
    """A training step had a non-finite loss, gradient or new state; its update was not applied.

    `incident` is the explained step; the message is its report, as text.
    """

    def __init__(self, message: str, incident: Incident) -> None:
        super().__init__(message)
        self.incident = incident


class UsageError(ValueError):
    """Bad input. The message is one line: what was passed, what was expected, what to do."""


class CannotGuardError(UsageError):
    """A training that the guard cannot attach to; `stayfinite run` ends on it with that line.

    A `UsageError` that the user's own program raises is the program's, and has its traceback.
    """
