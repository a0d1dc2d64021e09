"""`stayfinite rule`."""

from __future__ import annotations

import difflib

import click

from stayfinite.cli.completion import a_cause
from stayfinite.diagnose import pages as causes
from stayfinite.errors import UsageError


@click.command(short_help="Show the page of a cause, or list all causes.")
@click.argument("name", required=False, shell_complete=a_cause)
def rule(name: str | None) -> int:
    """Show the page of the cause NAME, or list all causes."""
    pages = causes.pages()
    if name is None:
        width = max(map(len, pages), default=0)
        for known, page in pages.items():
            click.echo(f"{known:{width}}  {causes.summary(page)}")
    elif name in pages:
        click.echo(pages[name].strip())
    else:
        close = difflib.get_close_matches(name, pages, n=1)
        guess = f"did you mean {close[0]}?" if close else "for the list, run stayfinite rule"
        raise UsageError(f"{name!r} is not the name of a cause; {guess}")
    return 0
