"""The JSON of an incident and of a run. The schemas are part of the public contract."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from stayfinite.incident import Incident

RUN_SCHEMA = "stayfinite.run/1"


def render(incident: Incident) -> str:
    """One incident as JSON text, without a line feed at the end."""
    return dump(incident.to_json())


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
    return dump(run) + "\n"


# What `pages.clean` replaces in a text; JSON has an escape for each. Those below U+0020 are
# always escaped.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def dump(value: dict[str, Any]) -> str:
    """JSON text that has nothing which a terminal obeys."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # Names may hold what a terminal obeys, or lone surrogates, as of a file name that is not UTF-8.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
