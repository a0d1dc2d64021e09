"""One non-finite training step as plain data.

The fields are those of the public contract (`stayfinite.incident/1`). Nothing here computes:
`report/assemble.py` fills the fields in, the rest of `report` formats them.
"""

from __future__ import annotations

from stayfinite.incident.incident import SCHEMA, Incident
from stayfinite.incident.numbers import Number, to_json
from stayfinite.incident.step import (
    Cause,
    Certainty,
    Incoming,
    Operand,
    Origin,
    Phase,
    Spread,
    Where,
)
from stayfinite.incident.trials import (
    DeviceRun,
    Fix,
    FixKind,
    FixValue,
    Intervention,
    Kept,
    Objection,
    Recurrence,
    RecurrenceKind,
    StepPart,
    Trial,
    TrialKind,
    TrialOutcome,
)

__all__ = [
    "SCHEMA",
    "Cause",
    "Certainty",
    "DeviceRun",
    "Fix",
    "FixKind",
    "FixValue",
    "Incident",
    "Incoming",
    "Intervention",
    "Kept",
    "Number",
    "Objection",
    "Operand",
    "Origin",
    "Phase",
    "Recurrence",
    "RecurrenceKind",
    "Spread",
    "StepPart",
    "Trial",
    "TrialKind",
    "TrialOutcome",
    "Where",
    "to_json",
]
