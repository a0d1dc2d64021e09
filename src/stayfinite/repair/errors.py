"""What can go wrong between a span in a report and a patched function."""

from __future__ import annotations


class RepairError(Exception):
    """A source repair cannot be made or tried; the message is one sentence that says why."""


class ExpressionNotFoundError(RepairError):
    """No expression of the file covers the span."""


class NotSwappableError(RepairError):
    """The patched code cannot be put in the place of the running code."""


class StaleSourceError(RepairError):
    """The running code is not what the file compiles to: it changed since it was loaded."""
