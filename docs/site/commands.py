"""The sections of the commands, made of the parsers of the command line."""

from __future__ import annotations

import html
import inspect
import re

import click

from stayfinite.cli import cli

# A paragraph that click does not wrap.
_VERBATIM = re.compile(r"\x08\n(.*?)(?=\n\n|\Z)", re.DOTALL)
# Where the page has the sections of the commands.
PLACE = "<!-- commands -->"


def with_commands(page: str) -> str:
    """A page with a section for each command in the place that it has for them."""
    if PLACE not in page:
        return page
    return page.replace(PLACE, "\n".join(_section(context) for context in contexts()))


def contexts() -> list[click.Context]:
    """A context for each command that takes arguments, in the order in which they are defined."""
    found: list[click.Context] = []

    def visit(command: click.Command, context: click.Context) -> None:
        if isinstance(command, click.Group):
            for name, inner in command.commands.items():
                visit(inner, click.Context(inner, info_name=name, parent=context))
        else:
            found.append(context)

    visit(cli, click.Context(cli, info_name="stayfinite"))
    return found


def _section(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [
        record
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and (record := parameter.get_help_record(context)) is not None
    ]
    options = "\n\n".join(f"`{names}`\n:   {html.escape(text)}" for names, text in records)
    text = _VERBATIM.sub(r"```text\n\1\n```", inspect.cleandoc(command.help or ""))
    return f"## {context.command_path}\n\n```text\n{usage}\n```\n\n{text}\n\n{options}\n"
