"""An incident from disk, which may be untrusted: each text and number is within limits."""

from __future__ import annotations

import json
from pathlib import Path

from stayfinite.errors import UsageError
from stayfinite.files import limits
from stayfinite.files.reading import is_folder, is_there, read_at_most
from stayfinite.incident import Incident

INCIDENT = "incident.json"
_LISTED = 5


def read(path: Path) -> Incident:
    """Read the incident in the folder `path`, or in its JSON file `path`.

    Raises:
        UsageError: There is none, or it is damaged.
    """
    manifest = path
    _refuse_parent(path)
    try:
        manifest = path / INCIDENT if is_folder(path) else path
        data = json.loads(read_at_most(manifest, limits.JSON), parse_int=integer)
        _check_texts(data)
        incident = Incident.from_json(data)
        _check_origin(incident)
        return incident
    except OSError as error:
        reason = error.strerror or str(error)
    except RecursionError:
        reason = "the JSON is nested too deeply"
    except ValueError as error:
        reason = str(error)
    raise UsageError(
        f"{manifest}: {reason}; pass the folder of an incident, as printed at the end of its report"
    )


def _refuse_parent(path: Path) -> None:
    """Raise a `UsageError` with the incidents in the folder `path`, where it is not one itself."""
    if not is_folder(path) or is_there(path / INCIDENT):
        return
    found = sorted(each.parent for each in path.glob(f"*/{INCIDENT}"))
    if not found:
        return
    listed = ", ".join(each.name for each in found[:_LISTED])
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    incidents = "1 incident" if len(found) == 1 else f"{len(found)} incidents"
    raise UsageError(
        f"{path} is a folder with {incidents} ({listed}{more}); pass one of them, as {found[-1]}"
    )


def integer(text: str) -> int:
    """A whole number of a file.

    Raises:
        ValueError: it is too large.
    """
    number = int(text) if len(text) < 20 else limits.INTEGER
    if abs(number) >= limits.INTEGER:
        raise ValueError(f"the number {text:.20} is too large for an incident")
    return number


def _check_texts(data: object) -> None:
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and len(value) > limits.TEXT:
            raise ValueError(
                f"a text of {len(value):,} characters; an incident has at most {limits.TEXT:,}"
            )


def _check_origin(incident: Incident) -> None:
    origin = incident.origin
    for line in (origin.line, origin.end_line):
        if line is not None and not 0 < line <= limits.LINE:
            raise ValueError(f"line {line} does not exist; lines are from 1 to {limits.LINE:,}")
    for operand in origin.operands:
        if len(operand.shape) > limits.DIMENSIONS:
            raise ValueError(
                f"an operand of {len(operand.shape):,} dimensions; NumPy has {limits.DIMENSIONS}"
            )
