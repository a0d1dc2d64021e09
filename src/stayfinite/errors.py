"""The exceptions of stayfinite.

Exception
|-- NonFiniteError   a training step was non-finite; has the incident
`-- UsageError       an argument or a file cannot be used; the message is one line
    `-- CannotGuardError   the guard cannot attach to this training
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stayfinite.incident import Incident


class NonFiniteError(ArithmeticError):
    """A training step had a non-finite loss, gradient or new state; its update was not applied.

    The message is the report as text.

    Attributes:
        incident: The explained step.
    """

    def __init__(self, message: str, incident: Incident) -> None:
        super().__init__(message)
        self.incident = incident

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython prints: the report, without a traceback."""
        import stayfinite

        return stayfinite.notebook.traceback_lines(self)

    def _repr_html_(self) -> str:
        """The report as HTML, for an error that is the last value of a cell."""
        return self.incident._repr_html_()


class UsageError(ValueError):
    """Bad input. The message is one line: what was passed, what was expected, what to do."""

    def _render_traceback_(self) -> list[str]:
        """The lines that IPython prints: the message, without a traceback."""
        return [f"{type(self).__name__}: {self}"]


class CannotGuardError(UsageError):
    """The guard cannot attach to a training; `stayfinite run` prints the message and ends.

    Any other `UsageError` that the user's program raises ends it with a traceback.
    """
