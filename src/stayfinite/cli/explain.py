"""`stayfinite explain`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from stayfinite.errors import UsageError
from stayfinite.incident import Incident
from stayfinite.runner.console import report_for

MANIFEST = "incident.json"


@click.command()
@click.argument("incident", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the incident as JSON.")
def explain(incident: Path, as_json: bool) -> int:
    """Show a saved incident again.

    INCIDENT is its folder, or the incident.json in it.
    """
    # Loaded here, so that `stayfinite run` does not pay for it.
    from stayfinite.report.json import render

    found = load(incident)
    click.echo(render(found) if as_json else report_for(sys.stdout, found), nl=False)
    return 0


def load(path: Path) -> Incident:
    """Read the incident in the folder `path`, or in its manifest `path`.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    manifest = path / MANIFEST if path.is_dir() else path
    try:
        return Incident.from_json(json.loads(manifest.read_text(encoding="utf-8")))
    except OSError as error:
        reason = error.strerror
    except ValueError as error:
        reason = str(error)
    raise UsageError(
        f"{manifest}: {reason}; pass the folder of an incident, as printed at the end of its report"
    )
