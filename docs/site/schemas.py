"""The JSON Schemas of an incident and of a run file, made of the types that are written.

`python -m docs.site.schemas` writes them into the package, where a program finds them with
`importlib.resources`; the site offers the same files.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from stayfinite import incident
from stayfinite.incident import Incident
from stayfinite.report import json as report_json
from stayfinite.report.json import RUN_SCHEMA, RunRecord

FOLDER = Path(report_json.__file__).parent / "schemas"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# The types whose `schema` is the name of the format.
_NAMES = {"Incident": incident.SCHEMA, "RunRecord": RUN_SCHEMA}


def made() -> dict[str, str]:
    """File name to schema. They allow unknown keys, as readers have to."""
    return {
        "incident-1.json": _schema(Incident, "One bad training step."),
        "run-1.json": _schema(RunRecord, "What `stayfinite run --json` writes."),
    }


def files() -> dict[str, str]:
    """Name on the site to text, of each schema in the package."""
    return {
        f"schemas/{path.name}": path.read_text(encoding="utf-8")
        for path in sorted(FOLDER.glob("*.json"))
    }


def _schema(kind: type[Incident | RunRecord], description: str) -> str:
    schema = msgspec.json.schema(kind)
    definitions: dict[str, dict[str, Any]] = schema["$defs"]
    for title, definition in definitions.items():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
        if title in _NAMES:
            definition["properties"]["schema"] = {"const": _NAMES[title]}
            definition["required"] = sorted({*definition["required"], "schema"})
    top = {"$schema": _DIALECT, "title": _NAMES[kind.__name__], "description": description}
    return json.dumps(top | schema, indent=2) + "\n"


if __name__ == "__main__":
    for name, text in made().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
