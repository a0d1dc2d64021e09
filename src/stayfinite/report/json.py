"""The JSON of an incident and of a run. The schemas are part of the public contract."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stayfinite.incident import Incident, Intervention, to_json

RUN_SCHEMA = "stayfinite.run/1"


@dataclass(frozen=True)
class RunRecord:
    """One run of a script: its exit code, the training steps of all its models, its bad steps.

    `exit_code` is -1 while the script runs. `interventions` are those of the incidents. `notes` say
    what else the user should know; files of earlier versions have none.
    """

    schema: str
    exit_code: int
    num_steps: int
    incidents: tuple[Incident, ...]
    interventions: tuple[Intervention, ...]
    notes: tuple[str, ...] = ()


def render(incident: Incident) -> str:
    """One incident as JSON text, without a line feed at the end."""
    return dump(incident.to_json())


def run_file(
    exit_code: int, num_steps: int, incidents: Sequence[Incident], notes: Sequence[str] = ()
) -> str:
    """The whole file that `stayfinite run --json` writes, also without an incident."""
    made = tuple(each.intervention for each in incidents if each.intervention is not None)
    record = RunRecord(RUN_SCHEMA, exit_code, num_steps, tuple(incidents), made, tuple(notes))
    return dump(to_json(record)) + "\n"


# What `pages.clean` replaces in a text; JSON has an escape for each. Those below U+0020 are
# always escaped.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def dump(value: dict[str, Any]) -> str:
    """JSON text without characters that control a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # Names may hold characters that control a terminal, or lone surrogates, as of a file name that
    # is not UTF-8.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
