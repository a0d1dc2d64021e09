"""The JSON of an incident and of a run. The schemas are part of the public contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stayfinite.incident import Incident

RUN_SCHEMA = "stayfinite.run/1"


def render(incident: Incident) -> str:
    """One incident as JSON text, without a line feed at the end."""
    return _dump(incident.to_json())


def run_file(exit_code: int, num_steps: int, incidents: Sequence[Incident]) -> str:
    """The whole file that `stayfinite run --json` writes, also without an incident."""
    run = {
        "schema": RUN_SCHEMA,
        "exit_code": exit_code,
        "num_steps": num_steps,
        "incidents": [incident.to_json() for incident in incidents],
        "interventions": [
            incident.to_json()["intervention"]
            for incident in incidents
            if incident.intervention is not None
        ],
    }
    return _dump(run) + "\n"


def _dump(value: dict[str, Any]) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # A file name that is not valid UTF-8 reaches Python as lone surrogates; escaped, they
        # are the same after reading.
        return json.dumps(value, indent=2, allow_nan=False)
    return text
