"""`stayfinite explain`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from stayfinite.runner.console import encodable, report_for
from stayfinite.runner.outputs import check_file, put_file


@click.command()
@click.argument("incident", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the incident as JSON.")
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the report as a page in one file to FILE, too.",
)
def explain(incident: Path, as_json: bool, html: Path | None) -> int:
    """Show the report of a saved incident.

    INCIDENT is the folder of the incident, or the incident.json in it.
    """
    # Imported here, because `stayfinite run` does not need it.
    from stayfinite.report.json import render
    from stayfinite.report.reading import read

    check_file("--html", html)
    found = read(incident)
    if html is not None:
        from stayfinite.report.folder import report_of
        from stayfinite.report.html import page_of

        folder = incident if incident.is_dir() else incident.parent
        put_file("--html", html, page_of(report_of(folder, found)))
    text = render(found) if as_json else report_for(sys.stdout, found)
    shown = encodable(text, sys.stdout)
    if as_json and shown != text:
        # An escape of JSON keeps what `?` would lose.
        shown = json.dumps(found.to_json(), indent=2)
    click.echo(shown)
    return 0
