"""`stayfinite explain`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from stayfinite.runner.console import encodable, report_for


@click.command()
@click.argument("incident", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the incident as JSON.")
def explain(incident: Path, as_json: bool) -> int:
    """Show the report of a saved incident.

    INCIDENT is the folder of the incident, or the incident.json in it.
    """
    # Imported here, because `stayfinite run` does not need it.
    from stayfinite.report.json import render
    from stayfinite.report.reading import read

    found = read(incident)
    text = render(found) if as_json else report_for(sys.stdout, found)
    shown = encodable(text, sys.stdout)
    if as_json and shown != text:
        # An escape of JSON keeps what `?` would lose.
        shown = json.dumps(found.to_json(), indent=2)
    click.echo(shown)
    return 0
